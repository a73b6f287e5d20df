"""Failed calls with what they said: one by one beside the list's rows, and the same ones gathered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import TextField, Value
from django.db.models.functions import Left

from logs.listing import own_records
from logs.listing.table import Failed
from logs.models import UsageRecord
from logs.models.querysets import Key
from logs.selection.chosen import Selection
from routescope.data.ids import moment_of
from routescope.data.scopes import Scope

MOST_GATHERED = 5_000
MOST_OF_MANY = 1_500
"""The newest failures that are gathered, of one person and of many people. What they are of is said."""
MOST_KINDS = 100
_MOST_LETTERS = 300
"""Of a message in a list: its details have the whole."""
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class FailureKind:
    """Failures that are the same: equal cause, HTTP status, type, code and message, whatever its numbers.

    ``newest`` is an example, ``models`` are the ids of those that were called, ``first`` and ``last`` UTC.
    """

    newest: Failed
    count: int = 0
    models: dict[int | None, None] = field(default_factory=dict)
    first: datetime | None = None

    @property
    def last(self) -> datetime:
        return moment_of(self.newest.id)


@dataclass(frozen=True, slots=True)
class FailureKinds:
    """The kinds of failures, most frequent first; ``others`` counts failures of kinds beyond `MOST_KINDS`.

    ``of`` is how many were gathered; ``reached`` their oldest (UTC) where there are more than that.
    """

    kinds: Sequence[FailureKind]
    of: int
    others: int
    reached: datetime | None


def of_rows(scope: Scope, keys: Sequence[Key]) -> Mapping[UUID, Failed]:
    """Return what the scope's records of these users and ids say of their errors."""
    mine = UsageRecord.objects.visible_to(scope).of_keys(keys)
    # A message may quote what was sent.
    said = (
        Value(None, TextField(null=True))
        if scope.is_without_content
        else Left("error_message", _MOST_LETTERS)
    )
    rows = mine.annotate(said=said).values_list(*Failed._fields)
    return {row[0]: Failed._make(row) for row in rows}


def gathered(scope: Scope, selection: Selection) -> FailureKinds:
    """Gather the newest failures of a selection, at most `MOST_GATHERED`, of many people `MOST_OF_MANY`."""
    most = MOST_GATHERED if scope.is_of_few else MOST_OF_MANY
    keys = own_records.newest_keys(scope, selection, most + 1)
    has_more = len(keys) > most
    keys = keys[:most]
    kinds: dict[tuple[object, ...], FailureKind] = {}
    found = of_rows(scope, keys)
    # Most say the same.
    alike = {said: _without_numbers(said) for said in {one.said or "" for one in found.values()}}
    for _user_id, identifier in keys:
        one = found[identifier]
        same = (one.cause, one.http_status, one.error_type, one.error_code, alike[one.said or ""])
        kind = kinds.setdefault(same, FailureKind(one))
        kind.count += 1
        kind.models.setdefault(one.model_id)
        kind.first = moment_of(identifier)
    listed = sorted(kinds.values(), key=lambda kind: kind.count, reverse=True)
    return FailureKinds(
        kinds=listed[:MOST_KINDS],
        of=len(keys),
        others=sum(kind.count for kind in listed[MOST_KINDS:]),
        reached=moment_of(keys[-1][1]) if has_more else None,
    )


def _without_numbers(message: str) -> str:
    """Return a message in which words that hold a digit (counts, IDs, times) are left blank."""
    return _WORD.sub(lambda word: "#" if any(map(str.isdigit, word[0])) else word[0], message)
