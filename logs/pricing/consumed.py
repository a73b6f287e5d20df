"""What a call used, and what its price depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from accounts.models import AIModel
from logs.models import Status, UsageRecord
from logs.models.events import COUNTS_READ, JSONObject, UsageEvent
from logs.pricing.kinds import COLUMNS, QUANTITIES, Counts

_PLAIN = frozenset(("", "auto", "default", "standard", "standard_only", "on_demand", "ondemand", "regular"))
"""Words of providers and clients for no tier in particular."""
_BATCHES = ("/messages/batches", "/v1/batches", "/batch/jobs", ":batchgeneratecontent", "/batches/")
_LONGEST = 30
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Consumed:
    """``counts`` are by the names that a record has for them; those of nothing are left out.

    ``tier`` is the service tier, "" for the plain one. ``parameters`` are the request's, by which some prices
    differ. ``is_contradictory``: how the counts are to be read could not be told.
    """

    at: datetime
    model_id: int | None
    model: str
    provider: str | None
    group_id: int | None
    counts: Counts
    tier: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    succeeded: bool = True
    is_contradictory: bool = False

    @classmethod
    def of(cls, record: UsageRecord | UsageEvent, *, model_id: int | None, model: str, group_id: int | None,
           at: datetime) -> Consumed:  # fmt: skip
        counts: dict[str, int | Decimal] = {
            name: count for name in COLUMNS if (count := getattr(record, name))
        }
        if further := record.quantities:
            counts |= {name: count for name in QUANTITIES if (count := _number(further.get(name)))}
        parameters = record.parameters
        return cls(
            at=at.astimezone(UTC),
            model_id=model_id,
            model=model,
            provider=record.provider,
            group_id=group_id,
            counts=counts,
            tier=service_tier(record.billing, parameters, record.endpoint),
            parameters=parameters or _NONE,
            succeeded=record.status == Status.SUCCESS,
            is_contradictory=_contradicts(record.metadata),
        )

    @classmethod
    def of_record(cls, record: UsageRecord) -> Consumed:
        """Return what a stored record used; its model must be loaded."""
        model = cast("AIModel | None", record.model)
        return cls.of(
            record,
            model_id=record.model_id,
            model=model.name if model else "",
            group_id=record.group_id,
            at=record.created_at,
        )

    @property
    def is_nothing(self) -> bool:
        return not self.counts


def service_tier(billing: JSONObject | None, parameters: JSONObject | None, endpoint: str | None) -> str:
    """Return the service tier of a call, in small letters; "" for the plain one.

    What the answer said holds, else what was asked for. Answers in batches say "default": that it was one,
    the endpoint tells.
    """
    sent = billing.get("sent") if billing else None
    answered = _word(billing) or _word(sent)
    tier = answered or _word(parameters)
    if not answered and tier in _PLAIN and parameters and str(parameters.get("speed")).lower() == "fast":
        tier = "fast"
    if tier not in _PLAIN:
        return tier
    if endpoint and any(part in endpoint.lower() for part in _BATCHES):
        return "batch"
    return ""


def _word(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    word = said.get("service_tier")
    return word.strip().lower().replace("-", "_")[:_LONGEST] if isinstance(word, str) else ""


def _number(value: object) -> int | Decimal:
    """Return a count of a record's ``quantities``; nothing for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return 0
    if isinstance(value, int):
        return max(value, 0)
    exact = Decimal(str(value))
    return exact if exact.is_finite() and exact > 0 else 0


def _contradicts(metadata: JSONObject | None) -> bool:
    read = metadata.get(COUNTS_READ) if metadata else None
    return isinstance(read, dict) and read.get("contradiction") is True
