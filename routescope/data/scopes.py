"""Whose rows a page is about: one's own, one person's, those of some people, or everybody's.

A scope is a value that is made in one place, from the rights of whoever looks (`accounts.scopes`), and that
every read of rows and sums is given. No function that takes one can be given a person instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, Expression, F, Q

from routescope.data.ids import first_id
from routescope.data.ranges import TimeRange, floor

if TYPE_CHECKING:
    from accounts.models import User

OF = "of"
"""The parameter by which an address says whose rows it is about; without it they are one's own."""


_FEW = 8


class ScopeKind(StrEnum):
    OWN = "own"
    PERSON = "person"
    TEAM = "team"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and as whom: ``reader`` is signed in, ``person`` is whose console it is."""

    reader: User
    person: User

    @classmethod
    def of(cls, user: User) -> Viewer:
        """Return somebody who looks at their own console."""
        return cls(user, user)

    @property
    def is_as_another(self) -> bool:
        """Whether a page is seen as somebody else sees it: then nothing on it can be changed."""
        return self.reader.pk != self.person.pk


@dataclass(frozen=True, slots=True)
class Window:
    """A user whose rows are meant, and of what time."""

    user_id: int
    within: TimeRange = field(default_factory=TimeRange)


@dataclass(frozen=True, slots=True)
class Share:
    """Users of whose rows the same part of a range is meant."""

    ids: tuple[int, ...]
    within: TimeRange


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows are read, and for whom.

    ``windows`` None is everybody; none at all is nobody. ``of`` is what an address says of it, and ``label``
    whom it means, in words; both are empty for one's own. ``is_without_content``: what people sent and were
    answered is never read, whatever other rights the reader has, nor what may quote it, nor the address and
    program that people called from.
    """

    viewer: Viewer
    windows: tuple[Window, ...] | None
    kind: ScopeKind = ScopeKind.OWN
    of: str = ""
    label: str = ""
    is_without_content: bool = False

    @classmethod
    def own(cls, user: User) -> Scope:
        """Return the scope that everybody has: their own rows. Those of users merged into them are theirs."""
        return cls(Viewer.of(user), of_users(user.ids))

    @property
    def reader(self) -> User:
        """Who is signed in."""
        return self.viewer.reader

    @property
    def is_everyone(self) -> bool:
        return self.windows is None

    @property
    def is_own(self) -> bool:
        return self.kind is ScopeKind.OWN

    @property
    def is_of_several(self) -> bool:
        """Whether rows may be of more than one person: each then says whose it is."""
        return self.kind in (ScopeKind.TEAM, ScopeKind.EVERYONE)

    @property
    def is_of_few(self) -> bool:
        """Whether it is one person's, or that of a few users who are one: each is read like the only one."""
        return self.windows is not None and len(self.windows) <= _FEW and self.is_whole

    @property
    def ids(self) -> tuple[int, ...]:
        """The users whose rows they are, in order. Raises ValueError for everybody's: nobody lists them."""
        if self.windows is None:
            raise ValueError("Everybody's rows are not asked for by their users.")
        return tuple(dict.fromkeys(window.user_id for window in self.windows))

    @property
    def is_whole(self) -> bool:
        """Whether all rows of its users are meant, of whatever time."""
        return self.windows is None or all(window.within == TimeRange() for window in self.windows)

    @property
    def condition(self) -> Q:
        """The condition on a row's user and id."""
        if self.windows is None:
            return Q()
        if self.is_whole:
            return Q(user_id__in=self.ids)
        parts = []
        for share in self.shares(TimeRange()):
            start, end = share.within.start, share.within.end
            bounds = start and first_id(start), end and first_id(end)
            parts.append((share.ids, *bounds))
        return Q(_InWindows("id", tuple(parts)))

    def periods(self, unit: timedelta) -> Q:
        """Return the condition on the sums of hours or days (``unit``) that hold any of its rows: by user and
        start, whole ones, whatever part of one is meant.
        """
        if self.windows is None:
            return Q()
        if self.is_whole:
            return Q(user_id__in=self.ids)
        parts = []
        for share in self.shares(TimeRange()):
            start = share.within.start
            parts.append((share.ids, start and floor(start, unit), share.within.end))
        return Q(_InWindows("start", tuple(parts)))

    def edges(self, unit: timedelta) -> set[datetime]:
        """Return the starts of hours or days in which somebody came or left: only a part of them is meant."""
        ends = [end for one in self.windows or () for end in (one.within.start, one.within.end)]
        return {floor(end, unit) for end in ends if end is not None}

    @property
    def query(self) -> str:
        """What an address says of it, as its whole query string."""
        return f"?{OF}={self.of}" if self.of else ""

    @property
    def further(self) -> str:
        """The same after other parameters."""
        return f"&{OF}={self.of}" if self.of else ""

    def shares(self, chosen: TimeRange) -> list[Share]:
        """Return which part of a range is meant of whom: those of whom it is the same come together.

        Raises ValueError for everybody's.
        """
        if self.windows is None:
            raise ValueError("Everybody's rows are not asked for by their users.")
        parts: dict[TimeRange, list[int]] = {}
        for window in self.windows:
            part = window.within.clipped(chosen)
            if window.within == TimeRange() or part.start is None or part.end is None or part.length:
                parts.setdefault(part, []).append(window.user_id)
        return [Share(tuple(ids), part) for part, ids in parts.items()]

    def narrowed(self, people: Iterable[int]) -> Scope:
        """Return it with the rows of these users alone, as far as it holds them."""
        wanted = tuple(dict.fromkeys(people))
        if self.windows is None:
            windows = of_users(wanted)
        else:
            windows = tuple(window for window in self.windows if window.user_id in set(wanted))
        return Scope(self.viewer, windows, self.kind, self.of, self.label, self.is_without_content)


class _InWindows(Expression):
    """That a row's user is one of some, and a column of it within bounds of theirs: ``parts`` are users, the
    first value that is meant and the first that is not any more, None for no bound.

    One node: a team has as many parts as members, and Django copies a condition's nodes again and again.
    """

    def __init__(self, column: str, parts: tuple[tuple[tuple[int, ...], Any, Any], ...]) -> None:
        super().__init__(output_field=BooleanField())
        self._columns: list[Any] = [F("user_id"), F(column)]
        self._parts = parts

    def get_source_expressions(self) -> list[Any]:
        return self._columns

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self._columns = list(exprs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        owner, column = (compiler.compile(one)[0] for one in self._columns)
        found: list[str] = []
        values: list[Any] = []
        for ids, first, past in self._parts:
            conditions = [f"{owner} = %s" if len(ids) == 1 else f"{owner} = ANY(%s::integer[])"]
            values.append(ids[0] if len(ids) == 1 else list(ids))
            for bound, sign in ((first, ">="), (past, "<")):
                if bound is not None:
                    conditions.append(f"{column} {sign} %s")
                    values.append(bound)
            found.append(f"({' AND '.join(conditions)})")
        return f"({' OR '.join(found)})" if found else "false", values


def of_users(ids: Sequence[int]) -> tuple[Window, ...]:
    """Return the windows of users of whom all rows are meant."""
    return tuple(Window(identifier) for identifier in ids)


def id_range(chosen: TimeRange) -> Q:
    """Return the condition that a row's time is in the range."""
    condition = Q()
    if chosen.start is not None:
        condition &= Q(id__gte=first_id(chosen.start))
    if chosen.end is not None:
        condition &= Q(id__lt=first_id(chosen.end))
    return condition
