"""The address of one view: its query string as a value, and what changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property

from django.http import QueryDict

from routescope.data.keyset import Cursor
from routescope.data.ranges import Preset
from routescope.data.scopes import OF

RANGE = ("range", "start", "end")
"""The parameters of the range of time."""


class Address:
    """The canonical query string of a view, so that one view has one address.

    A value: what changes it returns another. As text it is what follows the path of the view's page: nothing
    where there is nothing to say.
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = {name: tuple(chosen) for name, chosen in values.items() if chosen}

    def __str__(self) -> str:
        return f"?{self.encoded}" if self._values else ""

    @cached_property
    def encoded(self) -> str:
        """The query string, without ``?``."""
        return self.query().urlencode()

    def query(self) -> QueryDict:
        """Return the parameters as Django has them: a copy for the caller to change."""
        query = QueryDict(mutable=True)
        for name, chosen in self._values.items():
            query.setlist(name, list(chosen))
        return query

    def of(self, path: str) -> str:
        """Return the URL of the view on a page."""
        return f"{path}{self}"

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter."""
        return self._values.get(name, ())

    def one(self, name: str) -> str:
        """Return the last value of a parameter, or nothing."""
        return self._values[name][-1] if name in self._values else ""

    def at(self, cursor: Cursor) -> Address:
        """Return the address of one page of the view's list."""
        places = {"older": cursor.older, "newer": cursor.newer, "value": cursor.value}
        return Address(
            self._values
            | {
                name: (f"{place:f}" if isinstance(place, Decimal) else str(place),)
                for name, place in places.items()
                if place is not None
            }
        )

    def with_(self, **changes: str) -> Address:
        """Return it with other values for some parameters; an empty one takes a parameter off."""
        return Address(self._values | {name: (value,) if value else () for name, value in changes.items()})

    def with_all(self, name: str, values: Sequence[str]) -> Address:
        """Return it with these values of a parameter, and no others."""
        return Address(self._values | {name: tuple(map(str, values))})

    def without(self, *names: str) -> Address:
        """Return it with some parameters taken off."""
        return Address({name: chosen for name, chosen in self._values.items() if name not in names})

    def without_value(self, name: str, value: str) -> Address:
        """Return it with one value of a parameter taken off."""
        return Address(self._values | {name: [kept for kept in self.all(name) if kept != value]})

    def with_value(self, name: str, value: str) -> Address:
        """Return it with one more value of a parameter."""
        return Address(self._values | {name: tuple(dict.fromkeys((*self.all(name), value)))})

    def only(self, *names: str) -> Address:
        """Return it with no other parameters than these, of the same rows' owners."""
        return Address({name: chosen for name, chosen in self._values.items() if name in (OF, *names)})

    def over(self, preset: Preset) -> Address:
        """Return it for another range of time."""
        return self.with_(range=preset.value, start="", end="")

    def between(self, start: datetime | None, end: datetime | None) -> Address:
        """Return it narrowed to a stretch of time. None is without bound on that side; one must be there."""
        return self.with_(range="", start=_exact(start) if start else "", end=_exact(end) if end else "")

    @property
    def rangeless(self) -> Address:
        """It without the range of time, for scripts that add their own."""
        return self.without(*RANGE)


def _exact(moment: datetime) -> str:
    """Write a bound for a URL in UTC: the same moment in every zone and on both sides of a clock change."""
    text = moment.astimezone(UTC).isoformat(
        timespec="auto" if moment.second or moment.microsecond else "minutes"
    )
    return text.replace("+00:00", "Z")
