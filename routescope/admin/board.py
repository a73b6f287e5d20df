"""What the index says of today, and what is to be settled: each app registers what it knows of both.

Whoever registers names the right that it takes to see it, and bounds what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django.utils.functional import Promise

from routescope.models import LeftAsIs

MOST = 50
"""Lines of one kind that are shown, and counted."""
_ON_INDEX = 3
_COUNTS = "admin.to_settle"
_COUNTS_KEPT = 24 * 3600


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the index: ``shown`` in words, and where the list is that it sums."""

    label: str
    shown: str
    url: str = ""
    note: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A table of the index: ``rows`` of cells under ``heads``, and a ``note`` below."""

    title: str
    url: str
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to settle: what it is, why, and the one act. ``key`` names it for who leaves it as it is."""

    key: str
    what: str
    url: str
    why: str
    act: str
    act_url: str


Left = Collection[str]
"""Keys of what is left as it is: not to be found again."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Things of one kind that are to be settled.

    ``find`` returns the first `MOST` of them and no more, without those that are left as they are. ``view``
    is the right to see them, ``act`` the one that their act takes. ``keep`` writes into the audit log that
    somebody with the right to act left one as it is; None where what is wrong stays so until it is mended.
    """

    name: str
    place: int
    title: str | Promise
    about: str | Promise
    view: str
    act: str
    find: Callable[[Left], Sequence[Matter]]
    keep: Callable[[HttpRequest, Matter], object] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one kind, and what its viewer may do about it."""

    kind: Kind
    matters: Sequence[Matter]
    may_act: bool

    @property
    def is_all(self) -> bool:
        """Whether there are no more than those that are shown."""
        return len(self.matters) < MOST

    @property
    def may_leave(self) -> bool:
        return self.may_act and self.kind.keep is not None

    @property
    def first(self) -> Sequence[Matter]:
        """What the index shows of them."""
        return self.matters[:_ON_INDEX]

    @property
    def further(self) -> int:
        return len(self.matters) - len(self.first)


_kinds: dict[str, Kind] = {}
_facts: dict[str, tuple[int, str, Callable[[], Sequence[Fact]]]] = {}
_panels: dict[str, tuple[int, str, Callable[[], Panel]]] = {}


def to_settle(kind: Kind) -> None:
    """Make a kind of things to settle known."""
    _kinds[kind.name] = kind


def tell_today(name: str, place: int, view: str, tell: Callable[[], Sequence[Fact]]) -> None:
    """Make figures of today known, which whoever has the right ``view`` sees."""
    _facts[name] = place, view, tell


def show_panel(name: str, place: int, view: str, show: Callable[[], Panel]) -> None:
    """Make a table of the index known, which whoever has the right ``view`` sees."""
    _panels[name] = place, view, show


def today(user: Any) -> list[Fact]:
    """Return the figures of today that a person may see."""
    return [fact for tell in _allowed(_facts.values(), user) for fact in tell()]


def panels(user: Any) -> list[Panel]:
    """Return the tables of the index that a person may see."""
    return [show() for show in _allowed(_panels.values(), user)]


def found(user: Any) -> list[Found]:
    """Return what is to be settled of every kind that a person may see, in their order.

    How many of each there are is kept for the link that leads here.
    """
    shown = [kind for kind in sorted(_kinds.values(), key=lambda one: one.place) if user.has_perm(kind.view)]
    left = LeftAsIs.keys()
    all_found = [
        Found(kind, kind.find(left.get(kind.name, ())), not kind.act or user.has_perm(kind.act))
        for kind in shown
    ]
    known = cache.get(_COUNTS) or {}
    cache.set(_COUNTS, known | {one.kind.name: len(one.matters) for one in all_found}, _COUNTS_KEPT)
    return all_found


def count(user: Any) -> int | None:
    """Return how many things a person had to settle when last somebody looked; None where nobody has.

    Read from the cache alone: it stands on every page.
    """
    known: dict[str, int] | None = cache.get(_COUNTS)
    if known is None:
        return None
    return sum(known.get(kind.name, 0) for kind in _kinds.values() if user.has_perm(kind.view))


def leave(request: HttpRequest, name: str, key: str) -> Matter | None:
    """Leave a thing as it is; return it. None where there is none, or the person may not."""
    kind = _kinds.get(name)
    user: Any = request.user
    if kind is None or kind.keep is None or not (user.has_perm(kind.view) and user.has_perm(kind.act)):
        return None
    matter = next((one for one in kind.find(LeftAsIs.keys().get(name, ())) if one.key == key), None)
    if matter is not None:
        with transaction.atomic():
            LeftAsIs.objects.get_or_create(kind=name, key=key)
            kind.keep(request, matter)
    return matter


def _allowed(registered: Iterable[tuple[int, str, Callable[[], Any]]], user: Any) -> list[Callable[[], Any]]:
    ordered = sorted(registered, key=lambda one: one[0])
    return [tell for _place, view, tell in ordered if user.has_perm(view)]
