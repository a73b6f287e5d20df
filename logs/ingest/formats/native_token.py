"""The token of a record where it is an object: its name, and what it may do at the gateway."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from accounts.identities.token_facts import TokenFacts, masked
from accounts.models import ApiToken
from routescope.text.identifiers import kept
from routescope.wire.reading import MAX_COUNT, RecordError, amount, moment

_Name = Annotated[str, msgspec.Meta(max_length=200)]
_MOST_MODELS = 500


class TokenSent(msgspec.Struct, kw_only=True):
    """A token as a gateway sends it. A field that is not there says nothing, null says that there is none."""

    name: _Name
    masked_key: str | UnsetType = UNSET
    group: _Name | UnsetType = UNSET
    status: str | UnsetType = UNSET
    rpm_limit: Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] | UnsetType | None = UNSET
    tpm_limit: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | UnsetType | None = UNSET
    models: Annotated[list[_Name], msgspec.Meta(max_length=_MOST_MODELS)] | UnsetType | None = UNSET
    expires_at: str | float | UnsetType | None = UNSET
    budget: Decimal | UnsetType | None = UNSET
    budget_spent: Decimal | UnsetType | None = UNSET
    budget_resets_at: str | float | UnsetType | None = UNSET


def facts(sent: TokenSent) -> TokenFacts:
    """Return what a token object says beside the name. Raises RecordError naming the field to mend."""
    if sent.status is not UNSET and sent.status not in ApiToken.Status.values:
        words = ", ".join(ApiToken.Status.values)
        raise RecordError(f"token.status: {str(sent.status)[:50]!r} is not one of {words}")
    return TokenFacts(
        masked_key=sent.masked_key if sent.masked_key is UNSET else kept(masked(str(sent.masked_key))),
        group=sent.group if sent.group is UNSET else kept(str(sent.group)),
        status=sent.status,
        rpm_limit=sent.rpm_limit,
        tpm_limit=sent.tpm_limit,
        models=tuple(map(kept, sent.models)) if isinstance(sent.models, list) else sent.models,
        expires_at=_time(sent.expires_at, "token.expires_at"),
        budget=_usd(sent.budget, "token.budget"),
        budget_spent=_usd(sent.budget_spent, "token.budget_spent"),
        budget_resets_at=_time(sent.budget_resets_at, "token.budget_resets_at"),
    )


def _time(value: str | float | UnsetType | None, field: str) -> datetime | UnsetType | None:
    return value if value is UNSET or value is None else moment(value, field)


def _usd(value: Decimal | UnsetType | None, field: str) -> Decimal | UnsetType | None:
    if value is UNSET or value is None:
        return value
    try:
        found = amount(value)
    except RecordError:
        found = None
    if found is None or found < 0:
        raise RecordError(f"{field}: not an amount of US dollars")
    return found
