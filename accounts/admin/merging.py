"""Pages of the admin that make one of two, and take them apart again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.admin.audited import AuditedAdmin
from accounts.identities import merging
from accounts.identities.merging import MergeError
from accounts.models import ApiToken, AuditEntry, Group, User


class MergeForm(forms.Form):
    """What the chosen one is to be part of."""

    def __init__(self, data: Any, *, source: Any, site: admin.AdminSite, target: str = "") -> None:
        super().__init__(data, initial={"target": target} if target.isdecimal() else None)
        self.source = source
        model = type(source)
        self.fields["target"] = forms.ModelChoiceField(
            model._default_manager.all(),
            label=_("Merge into"),
            widget=AutocompleteSelect(model._meta.get_field("merged_into"), site),
            error_messages={"required": _("Choose what to merge it into.")},
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if target := cleaned.get("target"):
            try:
                merging.check(self.source, target)
            except MergeError as error:
                self.add_error("target", str(error))
        return cleaned


class MergeViews(AuditedAdmin[Any]):
    """Adds *Merge into another* to what gateways may know under several names."""

    change_form_template = "admin/accounts/mergeable.html"

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/merge/", view(self.merge_view), name=f"{name}_merge"),
            path("<path:object_id>/separate/", view(self.separate_view), name=f"{name}_separate"),
            *super().get_urls(),
        ]

    def merge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask what to merge it into, and do so."""
        source = self._changeable(request, object_id)
        sent = request.POST if request.method == "POST" else None
        target_id = request.GET.get("target", "")[:9]
        form = MergeForm(sent, source=source, site=self.admin_site, target=target_id)
        if form.is_valid():
            target = form.cleaned_data["target"]
            if not self.has_change_permission(request, target) or _gains(request, source, target):
                raise PermissionDenied
            try:
                with transaction.atomic():
                    merging.merge(source, target)
                    self.log_merge(request, source, f"Merged into {target} ({target.pk}).")
                    self.log_merge(request, target, f"{source} ({source.pk}) was merged into it.")
            except MergeError as error:
                form.add_error("target", str(error))
            else:
                messages.success(
                    request,
                    _("%(source)s is now part of %(target)s, with all its records.")
                    % {"source": source, "target": target},
                )
                return self._to(target.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Merge %(source)s into another") % {"source": source},
            "opts": self.opts,
            "original": source,
            "form": form,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/accounts/merge.html", context)

    def separate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take it out of what it was merged into; by POST alone."""
        source = self._changeable(request, object_id)
        if request.method != "POST" or source.merged_into_id is None:
            raise Http404
        target = source.merged_into
        with transaction.atomic():
            merging.separate(source)
            self.log_merge(request, source, f"Separated from {target} ({target.pk}).")
            self.log_merge(request, target, f"{source} ({source.pk}) was separated from it.")
        messages.success(
            request,
            _("%(source)s and %(target)s are separate again, each with its own records.")
            % {"source": source, "target": target},
        )
        return self._to(source.pk)

    def log_merge(self, request: HttpRequest, row: Any, what: str) -> None:
        """Keep what was done in Django's history of the row, and under its own kind in the audit log."""
        super(AuditedAdmin, self).log_change(request, row, what)
        self.audit(request, row, what, AuditEntry.Act.MERGE)

    @admin.display(description=_lazy("Merged into"))
    def part_of(self, row: Any) -> str | SafeString:
        if row.merged_into is None:
            return "—"
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return format_html('<a href="{}">{}</a>', reverse(name, args=[row.merged_into_id]), row.merged_into)

    def _changeable(self, request: HttpRequest, object_id: str) -> Any:
        self.require_change(request)
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        return row

    def _to(self, pk: int) -> HttpResponseRedirect:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[pk]))


def _gains(request: HttpRequest, source: Any, target: Any) -> bool:
    """Whether the one who merges would see somebody else's records as their own: a superuser's to decide."""
    user = request.user
    if not isinstance(user, User) or user.is_superuser or isinstance(source, Group):
        return False
    owners = [row.owner if isinstance(row, ApiToken) else row for row in (source, target)]
    return any(owner.canonical_id == user.canonical_id for owner in owners)
