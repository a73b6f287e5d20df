"""The content of work that is no record, in the store of records' content.

See `routescope.contracts.content_store`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from logs.content import contents
from logs.content.contents import Policies
from logs.models import Level, UsageContent


class UsageContentStore:
    def level_for(self, gateway_id: int, group_id: int | None, token_id: int | None) -> int | None:
        level = Policies.of(gateway_id).level(group_id, token_id)
        return None if level is Level.OFF else int(level)

    def keep(self, identifier: UUID, user_id: int, level: int, made: list[Any]) -> None:
        size = len(msgspec.json.encode(made))
        UsageContent.objects.filter(id=identifier, user_id=user_id).delete()
        contents.store([contents.captured(identifier, user_id, Level(level), None, made, None, size)])

    def load(self, user_id: int, identifiers: Iterable[UUID]) -> dict[UUID, list[Any] | None]:
        found: dict[UUID, list[Any] | None] = {}
        for identifier, content in contents.load(user_id, identifiers).items():
            made = None if content is None else content.output
            found[identifier] = made if isinstance(made, list | None) else []
        return found

    def is_expired(self, identifier: UUID) -> bool:
        return contents.is_expired(identifier)
