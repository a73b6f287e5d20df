"""Names as people write them, and the ids behind each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.db.models.functions import Coalesce

from accounts.models import ApiToken, User

CALLED = Coalesce("merged_into__name", "name")
"""What was merged goes by the name of what it is now."""


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


def token_names(user: User) -> Names:
    """Return the names of the person's own tokens."""
    tokens = ApiToken.objects.filter(owner__in=user.ids).annotate(now_called=CALLED)
    return Names(tokens.order_by("now_called").values_list("id", "now_called"))
