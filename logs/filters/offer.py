"""Which tags and which metadata a page offers to filter by: those of the scope's records, up to a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Max
from django.db.models.expressions import RawSQL

from logs.models import OfferedValue
from logs.models.marks import OTHER_MODEL, SESSION, TAGS, Facet
from logs.models.offered import EVERYONE, MOST_KEYS
from routescope.data.scopes import Scope

MOST_LISTED = 40
"""Values that a menu lists, those that came last; the others are searched for as one types."""
MOST_FOUND = 20
_RESERVED = ("", OTHER_MODEL, SESSION)


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A key of metadata, or that of tags. ``is_beyond``: it has too many values for any to be offered."""

    key: str
    is_beyond: bool


class MarksOffered:
    """What may be filtered by in a scope. Nothing to whom metadata is not shown: leads."""

    def __init__(self, scope: Scope) -> None:
        self._is_none = scope.is_without_content
        # Of several people it is everybody's: who sees more of them than names sees everybody's records.
        self._users: Sequence[int] = (EVERYONE,) if scope.is_of_several else scope.ids

    @cached_property
    def _told(self) -> dict[str, bool]:
        """The keys, reserved ones among them, and whether each has more values than are offered."""
        rows = OfferedValue.objects.filter(user_id__in=self._users, value="")
        beyond = Max(RawSQL("is_beyond::integer", []))
        found = rows.values_list("key").annotate(beyond=beyond).order_by("key")[: 2 * MOST_KEYS]
        return {key: bool(is_beyond) for key, is_beyond in found}

    @cached_property
    def keys(self) -> list[OfferedKey]:
        """The keys by name, that of tags first."""
        if self._is_none:
            return []
        keys = [OfferedKey(key, beyond) for key, beyond in self._told.items() if key not in _RESERVED]
        return sorted(keys, key=lambda one: (one.key != TAGS, one.key.casefold(), one.key))

    @property
    def has_other_models(self) -> bool:
        """Whether another model answered than was asked for, ever since records are kept."""
        return OTHER_MODEL in self._told

    @property
    def has_sessions(self) -> bool:
        """Whether any record is of a session."""
        return SESSION in self._told and not self._is_none

    @property
    def has_more_keys(self) -> bool:
        """Whether there are keys that are not offered."""
        return "" in self._told and not self._is_none

    @property
    def has_tags(self) -> bool:
        return any(one.key == TAGS for one in self.keys)

    @cached_property
    def listed(self) -> list[Facet]:
        """The values that a menu lists: those that came last, by key and name."""
        return self._in_order(self._values("")[:MOST_LISTED])

    @cached_property
    def has_more(self) -> bool:
        """Whether there are values that the menu does not list."""
        return len(self._values("")[: MOST_LISTED + 1]) > MOST_LISTED

    def found(self, typed: str) -> list[Facet]:
        """Return the values that hold what was typed: one more than are shown."""
        return self._in_order(self._values(typed)[: MOST_FOUND + 1])

    def _values(self, typed: str) -> list[Facet]:
        offered = [one.key for one in self.keys if not one.is_beyond]
        if not offered:
            return []
        rows = OfferedValue.objects.filter(user_id__in=self._users, key__in=offered).exclude(value="")
        if typed:
            rows = rows.filter(value__icontains=typed)
        last = rows.values_list("key", "value").annotate(last=Max("seen")).order_by("-last", "key", "value")
        return [Facet(key, value) for key, value, _last in last[: MOST_LISTED + 1]]

    def _in_order(self, facets: Sequence[Facet]) -> list[Facet]:
        return sorted(
            facets, key=lambda one: (one.key != TAGS, one.key.casefold(), one.value.casefold(), one)
        )
