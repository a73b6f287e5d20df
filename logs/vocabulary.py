"""The names that a person's records are called by, and the ids behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from accounts.models import AIModel, ApiToken, Group, User
from logs.models import UsageDay


class Names(Mapping[str, tuple[int, ...]]):
    """The ids of each name, in the order of the names; `of` is the other way round."""

    def __init__(self, rows: Iterable[tuple[int, str]]) -> None:
        self.of = dict(rows)
        self._ids: dict[str, tuple[int, ...]] = {}
        for identifier, name in self.of.items():
            self._ids[name] = (*self._ids.get(name, ()), identifier)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._ids[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a person can filter by: their own tokens, and what their records were made with."""

    tokens: Names
    models: Names
    groups: Names

    @classmethod
    def of(cls, user: User) -> Self:
        """Read it from the tokens and the daily sums; the records themselves are never searched."""
        days = UsageDay.objects.filter(user_id=user.pk)
        tokens = ApiToken.objects.filter(owner=user)
        models = AIModel.objects.filter(id__in=days.values("model_id"))
        groups = Group.objects.filter(id__in=days.values("group_id"))
        return cls(
            *(Names(rows.order_by("name").values_list("id", "name")) for rows in (tokens, models, groups))
        )
