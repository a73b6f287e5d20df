"""What the admins of ours are made of: shown only, or kept for ever, and rows beside an object."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.db import models
from django.forms import BaseInlineFormSet
from django.http import Http404, HttpRequest, HttpResponse

from routescope.admin.guards import GuardedAdmin

PAGE_SIZE = 50
CUSTOM = "custom"

_Row = TypeVar("_Row", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)


class ReadOnlyAdmin(GuardedAdmin[_Row]):
    """Shows what the product writes itself: nobody, superusers included, adds, changes or deletes it here."""

    actions = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.require_view(request)
        raise Http404


class KeptAdmin(GuardedAdmin[_Row]):
    """Shows what records refer to: changed, switched off, never deleted, which would leave them nameless."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False


class ShownOnly(BaseInlineFormSet[Any, Any, forms.ModelForm[Any]]):
    """Rows to look at. What a browser sends back for them is not read: they may have changed meanwhile."""

    def __init__(self, data: Any = None, files: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []

    def is_valid(self) -> bool:
        return True

    def save(self, commit: bool = True) -> list[Any]:
        return []


class ShortInline(admin.TabularInline[_Row, _Parent]):
    """The first rows that belong to an object, to look at; each leads to its own page."""

    template = "admin/short_inline.html"
    parent: ClassVar[str]
    """The foreign key to the object."""
    linked: ClassVar[str] = ""
    """The column that leads to the row's own page."""
    which: ClassVar[models.Q] = models.Q()
    """The condition on those that are shown, where it is not all."""
    most: ClassVar[int] = 30
    formset = ShownOnly
    extra = 0
    can_delete = False

    @property
    def show_change_link(self) -> bool:  # type: ignore[override]
        return bool(self.linked)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields or ()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[_Row]:
        """Return the newest few. A name that nobody sends with can own ten thousand tokens."""
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match is None or "object_id" not in match.kwargs:
            return rows.none()
        its = rows.filter(self.which, **{self.parent: match.kwargs["object_id"]})
        return rows.filter(pk__in=its.order_by("-pk").values("pk")[: self.most]).order_by("-pk")
