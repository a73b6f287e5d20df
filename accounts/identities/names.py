"""Names as people write them, and the ids behind each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from accounts.models import AIModel, ApiToken, Group, User
from routescope.data.scopes import Scope

CALLED = Coalesce("merged_into__name", "name")
"""What was merged goes by the name of what it is now."""
MOST_ASKED = 10_000
"""Rows that one look-up of names reads."""


class Names(Mapping[str, tuple[int, ...]]):
    """The ids of each name, in the order of the names; `of` is the other way round.

    A name that something had before it was merged leads to what it is now, and is not listed. ``rows`` are
    an id, its name and its own name, which differ where it was merged.
    """

    def __init__(self, rows: Iterable[tuple[int, str, str]]) -> None:
        self.of: dict[int, str] = {}
        self._ids: dict[str, tuple[int, ...]] = {}
        self._now: dict[str, str] = {}
        self._take(rows)

    def _take(self, rows: Iterable[tuple[int, str, str]]) -> None:
        for identifier, name, own in rows:
            if identifier in self.of:
                continue
            self.of[identifier] = name
            self._ids[name] = (*self._ids.get(name, ()), identifier)
            self._now[own] = name

    def learn(self, ids: Iterable[int]) -> None:
        """Make sure that the names of these ids are known, where there are any."""

    def now(self, name: str) -> str:
        """Return what goes by this name today; the name itself where nothing does."""
        return name if name in self._ids else self._now.get(name, name)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._ids[self.now(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


class NamesAsked(Names):
    """Names of so many that they are looked up as they are asked for: those of some ids, or one name's ids.

    Listed are those that were asked for so far. ``rows`` returns the rows of `Names` on a condition.
    """

    def __init__(self, rows: Callable[[Q], Iterable[tuple[int, str, str]]]) -> None:
        super().__init__(())
        self._rows = rows
        self._unknown: set[str] = set()

    def learn(self, ids: Iterable[int]) -> None:
        """Look up what these ids are called, those that are not known yet."""
        if wanted := {one for one in ids if one} - self.of.keys():
            self._take(self._rows(Q(pk__in=wanted)))

    def now(self, name: str) -> str:
        if name not in self._ids and name not in self._now and name not in self._unknown:
            rows = list(self._rows(Q(now_called=name) | Q(name=name)))
            self._take(rows)
            if not rows:
                self._unknown.add(name)
        return super().now(name)


def token_names(scope: Scope, used: Collection[int] | None = None) -> Names:
    """Return the names of the scope's tokens; of those that were ``used`` alone, where these are known."""
    if scope.is_everyone:
        return NamesAsked(lambda condition: _tokens(Q()).filter(condition)[:MOST_ASKED])
    return Names(_tokens(Q(owner__in=scope.ids) & (Q() if used is None else _or_merged(used))))


def _or_merged(used: Collection[int]) -> Q:
    """Return the condition on the tokens of some ids, and those that they were merged into."""
    return Q(pk__in=used) | Q(pk__in=ApiToken.objects.filter(pk__in=used).values("merged_into"))


def _tokens(whose: Q) -> QuerySet[ApiToken, tuple[int, str, str]]:
    tokens = ApiToken.objects.filter(whose).annotate(now_called=CALLED)
    return tokens.order_by("now_called", "id").values_list("id", "now_called", "name")


def people_names(scope: Scope) -> Names:
    """Return what the people of a scope are called. Who was merged goes by the name of what they are now."""
    return NamesAsked(
        lambda condition: _people(condition if scope.is_everyone else condition & Q(pk__in=scope.ids))
    )


def _people(condition: Q) -> Iterator[tuple[int, str, str]]:
    people = User.objects.annotate(now_called=F("name")).filter(condition).select_related("merged_into")
    for person in people.order_by("pk")[:MOST_ASKED]:
        yield person.pk, person.called, str(person)


def names_by_id(scope: Scope) -> dict[str, dict[int, str]]:
    """Return what the scope's tokens and people, and all models and groups, are called: by kind and id."""
    tokens = ApiToken.objects.all() if scope.is_everyone else ApiToken.objects.filter(owner__in=scope.ids)
    people: dict[int, str] = {}
    if scope.is_of_several:
        found = Q() if scope.is_everyone else Q(pk__in=scope.ids)
        people = {
            person.pk: person.called for person in User.objects.filter(found).select_related("merged_into")
        }
    return {
        "token": dict(tokens.values_list("id", CALLED)),
        "model": dict(AIModel.objects.values_list("id", "name")),
        "group": dict(Group.objects.values_list("id", CALLED)),
        "person": people,
    }
