"""A list filter that an address sets and nobody chooses from: what it is of may be thousands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.translation import gettext as _


class Chosen(admin.RelatedFieldListFilter):
    """Narrows a list to one row of another model, where a link led to it; it offers to show all again.

    Django's own filter lists every row that there is, at every visit.
    """

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        """Return what is chosen alone, by its name."""
        chosen = self.lookup_val
        keys = [one for one in chosen or () if str(one).isdecimal() and len(str(one)) < 10]
        rows = field.remote_field.model._default_manager.filter(pk__in=keys) if keys else ()
        return [(str(row.pk), str(row)) for row in rows]

    def has_output(self) -> bool:
        return bool(self.lookup_val)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "selected": False,
            "query_string": changelist.get_query_string(remove=[self.lookup_kwarg, self.lookup_kwarg_isnull]),
            "display": _("All"),
        }
        for value, shown in self.lookup_choices:
            query = changelist.get_query_string({self.lookup_kwarg: value})
            yield {"selected": True, "query_string": query, "display": shown}
