"""What every page of the Django admin holds to, whoever signed in: see `GuardedAdmin`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from routescope.admin.sections import Section
from routescope.text import identifiers, pasted
from routescope.web.asking import SEARCH, address, asked

_Row = TypeVar("_Row", bound=models.Model)

# What Django's own field filters put behind a field's name.
_OF_FILTERS = ("__exact", "__id__exact", "__in", "__isnull", "__isempty", "__gte", "__gt", "__lte", "__lt")


class GuardedAdmin(admin.ModelAdmin[_Row]):
    """The base of every admin of ours.

    1. A query string asks only what the list's own filters ask. Django allows any lookup on a model's own
       columns, so ``?data__secret__startswith=`` would read a secret letter by letter.
    2. A key pasted into a list's search never reaches the address: what is typed is sent as a form.
    3. Actions on a list happen wholly or not at all, as changes on a page do.
    4. A form offers, and takes, of another model only what its viewer may see there, beside what is set
       already: an answer that tells one key from another tells what exists.
    """

    section: ClassVar[Section | None] = None
    """Where the index has it; None: under its app, after the sections."""
    place: ClassVar[int] = 0
    """Within its section, the lowest first."""
    index_name: ClassVar[str | Promise] = ""
    """What the index calls it, where the model's own name stands there already."""
    about: ClassVar[str | Promise] = ""
    """What its rows are, in one sentence: beside its name on the index, and above its list."""
    fills: ClassVar[str | Promise] = ""
    """When its rows come, in one sentence: above its list, and all that an empty one says."""

    # Django's page for it leads to any object of any model, whatever the viewer's rights.
    view_on_site = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in set(_asked_by(self.get_list_filter(request) if request else ()))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return what an address fills in; what is no key chooses nothing, where Django's boxes fail."""
        keys = {one.name for one in self.opts.get_fields() if isinstance(one, models.ForeignKey)}
        filled: dict[str, Any] = super().get_changeform_initial_data(request)
        return {
            name: value
            for name, value in filled.items()
            if name not in keys or re.fullmatch(r"[0-9]{1,9}", str(value))
        }

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Name both boxes of a moment, which Django leaves without a label."""
        formfield = super().formfield_for_dbfield(db_field, request, **kwargs)
        widget = getattr(formfield, "widget", None)
        if formfield is not None and isinstance(widget, AdminSplitDateTime):
            label = capfirst(str(formfield.label))
            for part, name in zip(widget.widgets, (_("date"), _("time")), strict=True):
                part.attrs["aria-label"] = f"{label}: {name}"
        return formfield

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        formfield = super().formfield_for_foreignkey(db_field, request, **kwargs)
        related = self.admin_site._registry.get(db_field.remote_field.model)
        if formfield is None or related is None or related.has_view_permission(request):
            return formfield
        formfield.queryset = related.model._default_manager.filter(pk__in=self._led_to(db_field, request))
        return formfield

    def _led_to(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest
    ) -> models.QuerySet[Any, Any]:
        """Return the key that the field has in the object that is changed; none where one is added."""
        match = request.resolver_match
        changed = unquote(match.kwargs["object_id"]) if match and "object_id" in match.kwargs else None
        rows = self.model._default_manager.all()
        return (rows.filter(pk=changed) if changed else rows.none()).values_list(db_field.attname, flat=True)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if SEARCH in request.POST or pasted.key_in(request.GET.get(SEARCH_VAR, "")) is not None:
            # A key is masked as what came with it in its ID is known by.
            return redirect(address(request.path, asked(request), identifiers.kept))
        named = {"title": self.index_name or capfirst(str(self.opts.verbose_name_plural))}
        context = {**named, **(extra_context or {})}
        if request.method != "POST":
            return super().changelist_view(request, context)
        with transaction.atomic():
            return super().changelist_view(request, context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django looks whether the row exists before it looks whether one may know."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def require_view(self, request: HttpRequest) -> None:
        """Raise PermissionDenied before anything is looked up: who may see nothing learns nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def require_change(self, request: HttpRequest) -> None:
        """Raise PermissionDenied before anything is looked up: who may change nothing learns nothing."""
        if not self.has_change_permission(request):
            raise PermissionDenied


def _asked_by(filters: Any) -> Iterator[str]:
    """Return the parameters that these list filters read."""
    for one in filters:
        if isinstance(one, type) and issubclass(one, admin.SimpleListFilter):
            yield str(one.parameter_name)
            continue
        name = one[0] if isinstance(one, (tuple, list)) else one
        for suffix in ("", *_OF_FILTERS):
            yield f"{str(name).rstrip(LOOKUP_SEP)}{suffix}"
