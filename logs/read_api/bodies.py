"""What the read API says about usage records: the bodies of its answers, made from what the page shows."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec

from accounts.models import AIModel, ApiToken, Group
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.marks import tags_of
from logs.pricing import unpriced
from logs.pricing.funding import funding_of
from logs.pricing.quotes import is_priced_here
from logs.read_api.latency_bodies import Took, latency
from logs.read_api.receipt_bodies import ReceiptBody, receipt_body
from logs.record.details import Details
from logs.rollups.breakdown import Latency
from logs.rollups.buckets import Bucket, Peak
from logs.rollups.own_sums import Totals
from logs.rollups.traffic import Traffic
from logs.selection.chosen import Looked
from routescope.data.ranges import TimeRange
from routescope.rest.answers import Money, Range, Ratio, range_of, utc
from routescope.text.formatting import plain

CauseWord = Literal[
    "parameters", "permission", "balance", "rate_limit", "content_policy", "context_length", "model_response",
    "timeout", "client_closed", "gateway", "unknown",
]  # fmt: skip
TypeWord = Literal["request", "task", "refund", "adjustment"]
ByWord = Literal["model", "token", "group", "day", "cause", "person", "tag", "meta"]
StatusWord = Literal["success", "error"]


class FailureBody(msgspec.Struct, frozen=True):
    """What the gateway said about the failure."""

    type: str | None
    code: str | None
    message: str | None
    param: str | None


class RecordBody(msgspec.Struct, frozen=True):
    """One usage record. Input tokens include cached ones, output tokens include reasoning."""

    id: UUID
    created_at: Annotated[datetime, msgspec.Meta(description="Request time, UTC.")]
    request_id: str
    type: TypeWord
    status: StatusWord
    cause: Annotated[CauseWord | None, msgspec.Meta(description="Why the call failed.")]
    token: str | None
    model: str | None
    group: str | None
    endpoint: str | None
    stream: bool | None
    http_status: int | None
    duration_ms: int | None
    ttft_ms: Annotated[int | None, msgspec.Meta(description="Time to first token.")]
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    image_count: int | None
    usage_estimated: Annotated[
        bool, msgspec.Meta(description="The gateway counted the tokens: the provider reported none.")
    ]
    cost: Annotated[Money | None, msgspec.Meta(description="Charged or estimated; null if not known.")]
    is_estimate: Annotated[bool, msgspec.Meta(description="The gateway did not say what it charged.")]
    unpriced: Annotated[list[str], msgspec.Meta(description="What was used and has no price.")]
    funding_source: Annotated[
        str | None,
        msgspec.Meta(description="What paid, where the gateway told: wallet, subscription, package, …"),
    ]
    balance_before: Annotated[Money | None, msgspec.Meta(description="What that held before the call.")]
    balance_after: Annotated[Money | None, msgspec.Meta(description="What was left of that after it.")]
    upstream_request_id: str | None
    task_id: str | None
    provider: str | None
    channel: str | None
    error: FailureBody | None
    tags: list[str]
    metadata: dict[str, Any] | None


class VerdictBody(msgspec.Struct, frozen=True):
    """Why a failed call failed: the field that decided, and what to do."""

    cause: CauseWord
    evidence_field: str | None
    evidence: str | None
    next_step: str


class RecordDetailBody(RecordBody, frozen=True):
    """One usage record with all that its details show on the page."""

    ip: str | None
    user_agent: str | None
    parameters: dict[str, Any] | None
    quantities: dict[str, Any] | None
    attempts: Any
    receipt: ReceiptBody
    verdict: VerdictBody | None


class LookedAtBody(msgspec.Struct, frozen=True):
    """How many records were looked at, one by one, newest first, and back to which time."""

    records: int
    back_to: datetime


OfNewest = Annotated[
    LookedAtBody | None,
    msgspec.Meta(
        description="Thresholds, `stream`, `estimated` and `endpoint` are looked up record by record: the"
        " answer is then of so many of the newest records. Null: of all of the range."
    ),
]


class RecordsBody(msgspec.Struct, frozen=True):
    """A page of usage records, newest first unless it is sorted.

    Thresholds, `stream`, `estimated` and `endpoint` are looked up record by record, a bounded number of them
    a page: it may hold fewer than `limit`, or none, and yet have a `next`, which looks further back.
    """

    data: list[RecordBody]
    range: Range
    older: Annotated[UUID | None, msgspec.Meta(description="The cursor of the next page; null at the end.")]
    newer: Annotated[UUID | None, msgspec.Meta(description="The cursor of the page before; null at the top.")]
    next: Annotated[str | None, msgspec.Meta(description="The next page's URL, its range of time fixed.")]
    looked_at: Annotated[
        LookedAtBody | None,
        msgspec.Meta(description="How far the search went, if the page ended before it was full."),
    ] = None


class PeakMinuteBody(msgspec.Struct, frozen=True):
    """The busiest minute."""

    value: int
    at: datetime


class RateBody(msgspec.Struct, frozen=True):
    """A rate per minute: of the last 60 seconds, on average, and in the busiest minute."""

    now: int
    average: Ratio
    peak: PeakMinuteBody | None


class SumsBody(msgspec.Struct, frozen=True):
    """Sums of records. Cost is netted of refunds; unpriced records add nothing to it."""

    records: int
    requests: int
    errors: int
    unpriced: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Money
    refunds: Money
    refund_records: int
    adjustments: Money
    adjustment_records: int


class StatisticsBody(msgspec.Struct, frozen=True):
    """The figures over the page's list. Rates are null where one ID is searched for."""

    range: Range
    totals: SumsBody
    success_rate: Annotated[Ratio | None, msgspec.Meta(description="0 to 1; null without requests.")]
    rpm: RateBody | None
    tpm: RateBody | None
    of_newest: OfNewest = None
    latency: Took = None


class SeriesBucketBody(msgspec.Struct, frozen=True):
    """A stretch of time that had calls. Errors are among requests, rate-limited ones among errors."""

    start: datetime
    requests: int
    errors: int
    rate_limited: int
    tokens: int
    peak_rpm: PeakMinuteBody
    peak_tpm: PeakMinuteBody


class SeriesBody(msgspec.Struct, frozen=True):
    """The chart's figures. Stretches without a call are left out."""

    range: Range
    step_seconds: int
    buckets: list[SeriesBucketBody]
    of_newest: OfNewest = None


class BreakdownLineBody(msgspec.Struct, frozen=True):
    """One value and its sums. Null is what has none: no token, say, or no failure. Days are YYYY-MM-DD."""

    value: str | None
    totals: SumsBody
    latency: Took = None


class BreakdownBody(msgspec.Struct, frozen=True):
    """The statistics broken down: the lines add up to them."""

    range: Range
    by: ByWord
    lines: list[BreakdownLineBody]
    of_newest: OfNewest = None


def looked_at(looked: Looked | None) -> LookedAtBody | None:
    """Say how far was looked; None where all of the range was."""
    if looked is None or looked.back_to is None:
        return None
    return LookedAtBody(looked.records, utc(looked.back_to))


def sums(totals: Totals) -> SumsBody:
    return SumsBody(
        records=totals.records,
        requests=totals.requests,
        errors=totals.errors,
        unpriced=totals.unpriced,
        input_tokens=totals.input_tokens,
        output_tokens=totals.output_tokens,
        cached_tokens=totals.cached_tokens,
        cost=plain(totals.cost),
        refunds=plain(totals.refunds),
        refund_records=totals.refund_records,
        adjustments=plain(totals.adjustments),
        adjustment_records=totals.adjustment_records,
    )


def statistics(
    chosen: TimeRange,
    totals: Totals,
    traffic: Traffic | None,
    looked: Looked | None = None,
    took: Latency | None = None,
) -> StatisticsBody:
    rpm = tpm = None
    if traffic is not None:
        rpm = RateBody(traffic.now_rpm, plain(traffic.avg_rpm), _peak(traffic.peak_rpm))
        tpm = RateBody(traffic.now_tpm, plain(traffic.avg_tpm), _peak(traffic.peak_tpm))
    rate = _money(totals.success_rate)
    return StatisticsBody(range_of(chosen), sums(totals), rate, rpm, tpm, looked_at(looked), latency(took))


def series(traffic: Traffic, looked: Looked | None = None) -> SeriesBody:
    return SeriesBody(
        range_of(traffic.chosen),
        int(traffic.step.total_seconds()),
        [_bucket(one) for one in traffic.buckets],
        looked_at(looked),
    )


def record(row: UsageRecord) -> RecordBody:
    return RecordBody(**_fields(row))


def detail(row: UsageRecord, details: Details) -> RecordDetailBody:
    """Return a record with its details."""
    receipt, verdict = details.receipt, details.verdict
    return RecordDetailBody(
        **_fields(row),
        ip=row.ip,
        user_agent=row.user_agent,
        parameters=row.parameters,
        quantities=row.quantities,
        attempts=row.attempts,
        receipt=receipt_body(receipt),
        verdict=None
        if verdict is None
        else VerdictBody(
            cause=cast(CauseWord, verdict.cause.name.lower()),
            evidence_field=verdict.evidence.field if verdict.evidence else None,
            evidence=str(verdict.evidence.value) if verdict.evidence else None,
            next_step=str(verdict.next_step),
        ),
    )


_PLAIN = (
    "id", "request_id", "endpoint", "stream", "http_status", "duration_ms", "ttft_ms", "input_tokens",
    "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "audio_input_tokens",
    "audio_output_tokens", "image_count", "upstream_request_id", "task_id", "provider", "channel",
)  # fmt: skip


def _fields(row: UsageRecord) -> dict[str, Any]:
    token, group = (cast("ApiToken | Group | None", one) for one in (row.token, row.group))
    model = cast("AIModel | None", row.model)
    paid_from = funding_of(row.billing)
    said = (row.error_type, row.error_code, row.error_message, row.error_param)
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "created_at": utc(row.created_at),
        "type": RecordType(row.type).name.lower(),
        "status": Status(row.status).name.lower(),
        "cause": Cause(row.cause).name.lower() if row.cause else None,
        "token": token.called if token else None,
        "model": model.name if model else None,
        "group": group.called if group else None,
        "cost": _money(row.cost),
        "is_estimate": row.cost is not None and is_priced_here(row.billing),
        "unpriced": unpriced.items(row.unpriced),
        "usage_estimated": bool(row.usage_estimated),
        "funding_source": paid_from.source or None,
        "balance_before": _money(paid_from.before),
        "balance_after": _money(paid_from.after),
        "error": FailureBody(*said) if any(said) else None,
        "tags": tags_of(row.metadata),
        "metadata": row.metadata,
    }


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _peak(peak: Peak | None) -> PeakMinuteBody | None:
    return None if peak is None else PeakMinuteBody(peak.value, utc(peak.at))


def _bucket(one: Bucket) -> SeriesBucketBody:
    return SeriesBucketBody(
        start=utc(one.start),
        requests=one.requests,
        errors=one.errors,
        rate_limited=one.rate_limited,
        tokens=one.tokens,
        peak_rpm=PeakMinuteBody(one.peak_rpm.value, utc(one.peak_rpm.at)),
        peak_tpm=PeakMinuteBody(one.peak_tpm.value, utc(one.peak_tpm.at)),
    )
