"""What gateways tell of a person's API token: its limits, models, group, expiry and budget."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection, transaction
from msgspec import UNSET, UnsetType

from accounts.identities.resolving import resolve
from accounts.models import ApiToken, Gateway

_MASK = "…"
_SHOWN = 4
_MOST_KNOWN = 100_000
_PAUSE = 60.0
"""Seconds in which what a token has spent is written down once: it changes with every call."""


class TokenFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of a token. UNSET: it says nothing; None: there is none, such as no limit.

    ``models`` empty: any. ``budget`` and ``budget_spent`` are USD, times are UTC; ``group`` is the gateway's
    name for it; ``status`` is one of `ApiToken.Status`.
    """

    masked_key: str | UnsetType = UNSET
    group: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    rpm_limit: int | UnsetType | None = UNSET
    tpm_limit: int | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    budget: Decimal | UnsetType | None = UNSET
    budget_spent: Decimal | UnsetType | None = UNSET
    budget_resets_at: datetime | UnsetType | None = UNSET

    @property
    def lasting(self) -> TokenFacts:
        """The same without what every call changes."""
        return msgspec.structs.replace(self, budget_spent=UNSET)


_known: dict[int, tuple[TokenFacts, float]] = {}
"""By token: what this process last wrote down of it, and when (`time.monotonic`)."""


def masked(key: str) -> str:
    """Return a key's first and last characters; what is masked already, or too short for a key, as it is."""
    key = key.strip()
    is_masked = any(sign in key for sign in (_MASK, "*", "..."))
    if len(key) <= (6 if is_masked else 3) * _SHOWN:
        return key
    return f"{key[: 2 * _SHOWN]}{_MASK}{key[-_SHOWN:]}"


def keep(gateway: Gateway, told: Mapping[int, tuple[TokenFacts, datetime]]) -> None:
    """Keep what a gateway told of tokens, by their ids, with the time at which each was so.

    What is older than what is known, and what an admin set, stays. What this process has just written is
    written once: tokens are told with every call. Of a token that was merged the one that it is now has it.
    """
    now = time.monotonic()
    news = {token_id: one for token_id, one in told.items() if _is_news(token_id, one[0], now)}
    if not news:
        return
    is_ours = not connection.in_atomic_block
    named = {facts.group for facts, _ in news.values() if isinstance(facts.group, str) and facts.group}
    groups = resolve(gateway, users_and_tokens=(), groups=named, models=()).groups if named else {}
    with transaction.atomic():
        heads = dict(ApiToken.objects.filter(pk__in=news).values_list("pk", "merged_into"))
        by_head = {heads[token_id] or token_id: one for token_id, one in news.items() if token_id in heads}
        # In one order: two batches that tell of the same tokens must not wait for each other.
        for token in ApiToken.objects.select_for_update(no_key=True).filter(pk__in=by_head).order_by("pk"):
            facts, at = by_head[token.pk]
            if token.told_at is None or token.told_at <= at:
                _write(token, _values(facts, groups), at)
    if not is_ours:
        # It may never be committed.
        return
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    _known.update({token_id: (facts, now) for token_id, (facts, _) in news.items()})


def _is_news(token_id: int, facts: TokenFacts, now: float) -> bool:
    known, at = _known.get(token_id, (None, 0.0))
    return known is None or facts.lasting != known.lasting or now - at >= _PAUSE


def _values(facts: TokenFacts, groups: Mapping[str, int]) -> dict[str, Any]:
    values = {name: value for name, value in msgspec.structs.asdict(facts).items() if value is not UNSET}
    if "models" in values:
        models = values.pop("models")
        values["allowed_models"] = None if models is None else list(models)
    if "group" in values:
        values["group_id"] = groups.get(values.pop("group"))
    return values


def _write(token: ApiToken, values: dict[str, Any], at: datetime) -> None:
    kept = set(token.set_by_admin)
    changed = {
        name: value
        for name, value in values.items()
        if name.removesuffix("_id") not in kept and getattr(token, name) != value
    }
    for name, value in (changed | {"told_at": at}).items():
        setattr(token, name, value)
    token.save(update_fields=[*changed, "told_at"])
