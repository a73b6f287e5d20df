"""The Exports page, the form that asks for one, and downloads."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.exports import exporting, jobs
from accounts.models import AuditEntry, Export, User
from accounts.people.signed_in import AuthenticatedRequest
from accounts.staff.audit import note
from routescope.contracts import tabs
from routescope.data.scopes import Scope
from routescope.data.snapshot import snapshot
from routescope.exports.downloads import send
from routescope.exports.formats import CONTENT_TYPES
from routescope.exports.sources import SOURCES, ExportSource
from routescope.text.formatting import when
from routescope.web.unavailable import answers_json

SHOWN = 50
_FIXED = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z", re.ASCII)


class ExportForm(forms.Form):
    """Format and columns of an export."""

    format = forms.ChoiceField(
        label=_l("Format"), choices=Export.Format.choices, initial="csv", widget=forms.RadioSelect
    )
    gzip = forms.BooleanField(label=_l("Compress with gzip (CSV and JSON lines)"), required=False)
    columns = forms.MultipleChoiceField(label=_l("Columns"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, data: QueryDict | None, *, source: ExportSource, scope: Scope) -> None:
        offered = [one for one in source.columns if one.is_offered(scope)]
        super().__init__(data, initial={"columns": [one.name for one in offered if one.usual]})
        field = self.fields["columns"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101  # declared above
        field.choices = [(one.name, one.name) for one in offered]

    def clean_columns(self) -> list[str]:
        """Return the columns in the source's own order."""
        chosen = set(self.cleaned_data["columns"])
        names = [str(value) for value, _label in self.fields["columns"].choices]  # type: ignore[attr-defined]
        return [name for name in names if name in chosen]


@login_required
@require_safe
def exports(request: AuthenticatedRequest) -> HttpResponse:
    """The person's exports, newest first."""
    return render(request, "account/exports.html", _listed(request))


@login_required
@require_safe
def results(request: AuthenticatedRequest) -> HttpResponse:
    """What of the page changes while exports run."""
    return render(request, "account/exports.html#panel", _listed(request))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: AuthenticatedRequest) -> HttpResponse:
    """Ask for an export of what a tab shows: ``?source=usage`` and the tab's own query string."""
    query = request.GET.copy()
    name = query.pop("source", ["usage"])[-1]
    if name not in SOURCES:
        raise Http404
    source = SOURCES[str(name)]
    scope = source.scope(request.user.pk, query)
    form = ExportForm(request.POST if request.method == "POST" else None, source=source, scope=scope)
    status = 200
    if request.method == "POST":
        status = 422
        if exporting.open_of(request.user) >= exporting.MOST_OPEN:
            form.add_error(
                None,
                _("Three exports are in progress. Wait for one to finish or cancel one, then try again."),
            )
        elif form.is_valid():
            return _ask(request, source, scope, query, form.cleaned_data)
    with snapshot():
        expected = source.select(request.user.pk, query).expected()
    context: dict[str, Any] = {
        "form": form,
        "source_label": tabs.registered()[source.name].label,
        "expected": expected,
        "filters": _filters(query),
        "back": f"{reverse(source.name)}?{query.urlencode()}",
    }
    return render(request, "account/export_new.html", context, status=status)


def _ask(
    request: AuthenticatedRequest,
    source: ExportSource,
    scope: Scope,
    query: QueryDict,
    chosen: dict[str, Any],
) -> HttpResponse:
    export = exporting.ask(
        request.user, source.name, chosen["format"], chosen["columns"], query, gzipped=chosen["gzip"]
    )
    note(request, AuditEntry.Act.EXPORT, _whose(scope), exporting.summary(export))
    if not jobs.hand_over(export.pk):
        messages.warning(request, _("The queue cannot be reached. The export will start once it is back."))
    return redirect("exports")


def _whose(scope: Scope) -> User | None:
    """Return whose rows are exported; None where they are several people's, which the summary says."""
    if scope.is_of_several:
        return None
    return User.objects.filter(pk=scope.ids[0]).first()


@login_required
@require_safe
def download(request: AuthenticatedRequest, pk: UUID) -> HttpResponse:
    """Lead the owner to the file by an address that works for a few minutes, also in a download manager."""
    export = _own(request, pk)
    if not export.is_ready or not export.path.exists():
        raise Http404
    return redirect("export-file", signature=exporting.signed(export))


@require_safe
def file(request: HttpRequest, signature: str) -> HttpResponseBase:
    """Send the file that a signature opens. 404 for a signature too old, and for another person signed in."""
    export = exporting.opened(signature)
    if export is None or not export.path.exists():
        raise Http404
    if request.user.is_authenticated and request.user.pk != export.user_id:
        raise Http404
    content_type = "application/gzip" if export.is_gzipped else CONTENT_TYPES[export.format]
    return send(request, export.path, export.file_name, content_type, export.sha256)


@answers_json
@login_required
@require_safe
def manifest(request: AuthenticatedRequest, pk: UUID) -> JsonResponse:
    """What the file is: its filters, rows and cost beside the header's, checksum."""
    export = _own(request, pk)
    if not export.is_ready:
        raise Http404
    answer = JsonResponse(exporting.manifest(export), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="{export.file_name}.manifest.json"'
    return answer


@login_required
@require_POST
def cancel(request: AuthenticatedRequest, pk: UUID) -> HttpResponse:
    """Cancel one of the person's exports. 404 for another's as for none."""
    _own(request, pk)
    if exporting.cancel(request.user, pk):
        messages.success(request, _("Export cancelled."))
    return redirect("exports")


@login_required
@require_POST
def delete(request: AuthenticatedRequest, pk: UUID) -> HttpResponse:
    """Delete one of the person's exports, with its file. 404 for another's as for none."""
    if not exporting.remove(request.user, pk):
        raise Http404
    messages.success(request, _("Export deleted."))
    return redirect("exports")


def _own(request: AuthenticatedRequest, pk: UUID) -> Export:
    return get_object_or_404(Export, user=request.user, pk=pk)


def _listed(request: AuthenticatedRequest) -> dict[str, Any]:
    rows = list(Export.objects.filter(user=request.user)[:SHOWN])
    labels = {name: tab.label for name, tab in tabs.registered().items()}
    return {
        "rows": [
            (export, labels.get(export.source, ""), _filters(QueryDict(export.query))) for export in rows
        ],
        "is_moving": any(export.is_open for export in rows),
    }


def _filters(query: QueryDict) -> list[tuple[str, str]]:
    return [(name, ", ".join(map(_shown, map(str, values)))) for name, values in query.lists() if any(values)]


def _shown(value: str) -> str:
    """Return a filter's value as a person reads it: a fixed time in their own zone."""
    moment = parse_datetime(value) if _FIXED.fullmatch(value) else None
    return value if moment is None else when(moment)
