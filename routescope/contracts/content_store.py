"""The store of content as other apps see it: what people sent and models made, encrypted, for some days.

Async tasks and usage records do not know each other's models. The app that keeps content registers itself
here when it starts; whoever has something that is content asks here whether and how it may be kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID


class ContentStore(Protocol):
    def level_for(self, gateway_id: int, group_id: int | None, token_id: int | None) -> int | None:
        """Return under which level content of these may be kept; None: not at all."""

    def keep(self, identifier: UUID, user_id: int, level: int, made: list[Any]) -> None:
        """Keep what was made under an id, instead of what was, in the caller's transaction.

        The id tells the time by which it expires (`routescope.data.ids`).
        """

    def load(self, user_id: int, identifiers: Iterable[UUID]) -> dict[UUID, list[Any] | None]:
        """Return what is kept of a user's under these ids; None where no configured key fits."""

    def is_expired(self, identifier: UUID) -> bool:
        """Whether what came under an id is kept no longer."""


_registered: list[ContentStore] = []


def register(store: ContentStore) -> None:
    """Make ``store`` the one that everybody asks."""
    _registered[:] = [store]


def current() -> ContentStore:
    """Return the registered store. Raises LookupError if the app that keeps it is not installed."""
    if not _registered:
        raise LookupError("No store of content is registered.")
    return _registered[0]
