"""The ``tokens`` table of a new-api, one-hub or one-api installation: what each token may do.

Source: model/token.go of new-api. The table is small and its rows change in place, so all of it is read now
and then. The key itself is never asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from accounts.identities import token_facts
from accounts.identities.token_facts import TokenFacts
from accounts.models import ApiToken, Gateway, TokenIdentity
from routescope.newapi.source import NewApiSource, Unreadable
from routescope.text.identifiers import kept
from routescope.wire.reading import MAX_NAME, RecordError, amount

TABLE = "tokens"
EVERY = 300.0
"""Seconds from one look at the table to the next, while following."""
_SLICE = 5_000
_MOST_MODELS = 500
_NEVER = -1
_LATEST = 10**11
_STATES = {
    1: ApiToken.Status.ACTIVE,
    2: ApiToken.Status.DISABLED,
    3: ApiToken.Status.EXPIRED,
    4: ApiToken.Status.EXHAUSTED,
}


class SourceToken(msgspec.Struct):
    """A row; what the source's version of the table does not have keeps its default.

    ``model_limits`` is new-api's word and ``models`` one-api's, both separated by commas. Times are epoch
    seconds, -1 never; quota / QuotaPerUnit is USD.
    """

    id: int
    user_id: int | None = None
    name: str | None = None
    status: int | None = None
    expired_time: int | None = None
    remain_quota: int | None = None
    used_quota: int | None = None
    unlimited_quota: bool | None = None
    model_limits_enabled: bool | None = None
    model_limits: str | None = None
    models: str | None = None
    group: str | None = None
    deleted_at: Any = None


def can_read(source: NewApiSource) -> bool:
    """Tell whether there is such a table, and enough of it may be read."""
    return {"id", "user_id", "name"} <= source.readable(TABLE, SourceToken.__struct_fields__)


def run(source: NewApiSource, gateway: Gateway, *, quota_per_usd: Decimal, now: datetime) -> int:
    """Keep what the table says of tokens whose records are here; return how many. Raises SourceError.

    Two tokens of one person that have one name are one here, and nothing is kept of what either may do.
    """
    users = source.user_names()
    facts: dict[tuple[str, str], TokenFacts] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for row in _rows(source):
        user = kept(users.get(row.user_id or 0, ""))
        name = kept(row.name or "")
        if user and name and row.deleted_at is None and len(user) <= MAX_NAME and len(name) <= MAX_NAME:
            seen[user, name] += 1
            facts[user, name] = facts_of(row, quota_per_usd)
    known = _known(gateway, {one for one, count in seen.items() if count == 1})
    token_facts.keep(gateway, {token_id: (facts[one], now) for one, token_id in known.items()})
    return len(known)


def _rows(source: NewApiSource) -> Iterator[SourceToken]:
    after = 0
    while found := source.read(TABLE, SourceToken, after=after, limit=_SLICE):
        yield from (row for row in found if not isinstance(row, Unreadable))
        numbers = [key for row in found if (key := row.key if isinstance(row, Unreadable) else row.id)]
        if len(found) < _SLICE or not numbers:
            return
        after = max(numbers)


def _known(gateway: Gateway, wanted: set[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    """Return the tokens, by user and name at the gateway, that records have named."""
    names = TokenIdentity.objects.filter(
        gateway=gateway, user__identities__gateway=gateway, name__any=[name for _, name in wanted]
    )
    found = names.values_list("user__identities__name", "name", "token_id")
    return {(user, name): token_id for user, name, token_id in found if (user, name) in wanted}


def facts_of(row: SourceToken, quota_per_usd: Decimal) -> TokenFacts:
    """Return what a row says; a column that is not there, or holds what cannot be, says nothing."""
    told: dict[str, object] = {}
    if row.status in _STATES:
        told["status"] = _STATES[row.status].value
    if row.expired_time is not None and (row.expired_time == _NEVER or 0 < row.expired_time < _LATEST):
        never = row.expired_time == _NEVER
        told["expires_at"] = None if never else datetime.fromtimestamp(row.expired_time, UTC)
    if row.group:
        told["group"] = kept(row.group)[:MAX_NAME]
    limits = row.model_limits if row.model_limits_enabled or row.models is None else row.models
    if row.model_limits_enabled is False or limits is not None:
        names = [] if row.model_limits_enabled is False else (limits or "").split(",")
        models = [kept(name)[:MAX_NAME] for name in names[:_MOST_MODELS]]
        told["models"] = tuple(filter(None, models))
    if row.unlimited_quota:
        told |= {"budget": None, "budget_spent": None}
    elif row.remain_quota is not None and row.used_quota is not None:
        try:
            spent = amount(Decimal(row.used_quota) / quota_per_usd)
            whole = amount(Decimal(row.used_quota + row.remain_quota) / quota_per_usd)
        except RecordError:
            spent = whole = None
        if whole is not None and whole >= 0:
            told |= {"budget": whole, "budget_spent": spent}
    return TokenFacts(**told)  # type: ignore[arg-type]
