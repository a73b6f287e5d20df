"""Names as people write them, and the ids behind each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.db.models.functions import Coalesce

from accounts.models import AIModel, ApiToken, Group
from routescope.data.scopes import Scope

CALLED = Coalesce("merged_into__name", "name")
"""What was merged goes by the name of what it is now."""


class Names(Mapping[str, tuple[int, ...]]):
    """The ids of each name, in the order of the names; `of` is the other way round.

    A name that something had before it was merged leads to what it is now, and is not listed. ``rows`` are
    an id, its name and its own name, which differ where it was merged.
    """

    def __init__(self, rows: Iterable[tuple[int, str, str]]) -> None:
        self.of: dict[int, str] = {}
        self._ids: dict[str, tuple[int, ...]] = {}
        self._now: dict[str, str] = {}
        for identifier, name, own in rows:
            self.of[identifier] = name
            self._ids[name] = (*self._ids.get(name, ()), identifier)
            self._now[own] = name

    def now(self, name: str) -> str:
        """Return what goes by this name today; the name itself where nothing does."""
        return name if name in self._ids else self._now.get(name, name)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._ids[self.now(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def token_names(scope: Scope) -> Names:
    """Return the names of the scope's tokens."""
    tokens = ApiToken.objects.filter(owner__in=scope.ids).annotate(now_called=CALLED)
    return Names(tokens.order_by("now_called", "id").values_list("id", "now_called", "name"))


def names_by_id(scope: Scope) -> dict[str, dict[int, str]]:
    """Return what the scope's tokens, and all models and groups, are called today: by kind and id."""
    return {
        "token": dict(ApiToken.objects.filter(owner__in=scope.ids).values_list("id", CALLED)),
        "model": dict(AIModel.objects.values_list("id", "name")),
        "group": dict(Group.objects.values_list("id", CALLED)),
    }
