"""Rows of the ``logs`` table of new-api, one-hub and one-api, as events.

Source: model/log.go of each. Times are epoch seconds. A request is several rows of new-api: one of type 5 for
each failed attempt, and one of type 2 that holds the charge; they share the request ID and become one record.
A stream that broke off is charged and failed. Money: ``quota`` / 500,000 is USD.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from logs.ingest.formats import counts, funding, newapi_kin, newapi_ratios
from logs.ingest.formats.newapi_other import (
    CONSUME,
    ERROR,
    REFUND,
    TOOL,
    Dialect,
    HubMetadata,
    LaiskyMetadata,
    Other,
    told,
)
from logs.ingest.formats.newapi_parts import lines, plain
from logs.ingest.formats.newapi_ratios import Reckoning
from logs.ingest.formats.newapi_rows import NewApiRow, Row, count_of, is_taken, milliseconds, name_of
from logs.models import Status
from logs.models.events import Failure, JSONObject, UsageEvent
from routescope.text.identifiers import kept
from routescope.wire.reading import MAX_NAME, RecordError, address, amount, cut, moment

logger = logging.getLogger(__name__)

QUOTA_PER_USD = Decimal(500_000)
IS_CHARGED = "charged"
"""In a failed record's metadata: its row is one that charged, and not an attempt."""

_FAULT = "not read through a fault of Routescope: see its log"
_ONE = Decimal(1)
_NO_USAGE = "上游无计费信息"
"""How new-api says that upstream told no usage, and that the prompt is what it counted itself."""


class Call(msgspec.Struct):
    """A request's rows folded: the event, and the row with its charge, None while all attempts failed."""

    event: UsageEvent
    attempt: JSONObject
    """The last of its attempts, which the event does not list where it was the only one."""
    charged_by: int | None
    rows: int
    is_foldable: bool
    """Whether other rows of the same request may belong to it: only of calls, and with a request ID."""


def fold(
    rows: Iterable[NewApiRow],
    quota_per_usd: Decimal = QUOTA_PER_USD,
    refuse: Callable[[NewApiRow, str], None] | None = None,
    dialect: Dialect = Dialect.NEW_API,
) -> list[Call]:
    """Fold rows, in the order of their ids, into one call for each request.

    A further charge under the same request ID (a session that is billed in parts) is a call of its own: no
    money is ever merged away. A row that no record can be made of is handed to ``refuse`` with the reason,
    and costs no other; without that, its RecordError is raised.
    """
    calls: list[Call] = []

    def take(row: Row, failed: Sequence[Row], *, is_further: bool = False) -> bool:
        try:
            calls.append(_call(row, failed, quota_per_usd, is_further=is_further))
        except Exception as error:
            if refuse is None:
                raise
            if not isinstance(error, RecordError):
                logger.exception("Row %d could not be read through a fault of ours", row.row.id)
            refuse(row.row, str(error) if isinstance(error, RecordError) else _FAULT)
            return False
        return True

    attempts: dict[str, list[Row]] = {}
    charged: dict[str, Call] = {}
    for raw in rows:
        if not is_taken(raw, dialect):
            continue
        row = Row.of(raw, dialect)
        if raw.type == ERROR and row.request_id:
            attempts.setdefault(row.request_id, []).append(row)
        elif raw.type == CONSUME and row.request_id and row.is_call:
            if take(row, attempts.get(row.request_id, ()), is_further=row.request_id in charged):
                charged.setdefault(row.request_id, calls[-1])
                attempts.pop(row.request_id, None)
        else:
            take(row, ())
    for request_id, failed in attempts.items():
        while failed and not take(failed[-1], failed[:-1]):
            failed.pop()
        if failed and (whole := charged.get(request_id)) is not None:
            # An attempt whose row came after the charge's.
            late = calls.pop()
            whole.event = together(whole.event, whole.charged_by, late)
            whole.rows += late.rows
    return calls


def together(known: UsageEvent, known_charge: int | None, call: Call) -> UsageEvent:
    """Return what a stored record and later rows of the same request are as one: no row counts twice."""
    base = call.event
    if call.charged_by is None and known_charge is not None:
        names = {name: getattr(call.event, name) for name in ("user", "token", "group")}
        base = msgspec.structs.replace(known, **names)
    by_row = {
        attempt.get("log_id"): attempt for attempt in (*(known.attempts or ()), *(call.event.attempts or ()))
    }
    if by_row:
        for only in (_only_attempt(known), call.attempt):
            by_row.setdefault(only.get("log_id"), only)
    attempts = [by_row[key] for key in sorted(by_row, key=lambda key: key or 0)]
    return msgspec.structs.replace(base, attempts=attempts if len(attempts) > 1 else base.attempts)


def _only_attempt(known: UsageEvent) -> JSONObject:
    """Return the attempt of a record that lists none, because it was the only one."""
    return _told(
        log_id=(known.metadata or {}).get("log_id"),
        channel=known.channel,
        status="success" if known.status is Status.SUCCESS else "error",
        http_status=known.http_status,
        duration_ms=known.duration_ms,
        failure=known.error,
    )


def _call(of: Row, failed: Sequence[Row], quota_per_usd: Decimal, *, is_further: bool = False) -> Call:
    row, other = of.row, of.other
    name = of.request_id or f"log-{row.id}"
    failure = of.failure
    cost = _cost(row, quota_per_usd)
    hub = told(row.metadata, HubMetadata) if of.dialect is Dialect.ONE_HUB else HubMetadata()
    first = other.frt if other.frt is not None else hub.first_response
    reckoning = _reckoning(of, hub, cost, quota_per_usd)
    paid_from, odd = funding.of_new_api(other, quota_per_usd)
    event = UsageEvent(
        request_id=kept(of.request_id or other.task_id or name),
        identity=name if of.request_id and of.is_call and not is_further else f"{name}#{row.id}",
        created_at=moment(row.created_at),
        type=of.kind,
        status=Status.SUCCESS if failure is None else Status.ERROR,
        user=name_of(row.username),
        token=name_of(row.token_name),
        group=name_of(row.group) or name_of(hub.backup_group_name if hub.is_backup_group else hub.group_name),
        model=name_of(row.origin_model_name if row.type == TOOL else row.model_name),
        stream=None if row.is_stream is None else bool(row.is_stream),
        duration_ms=of.duration,
        ttft_ms=milliseconds(first),
        http_status=of.http_status,
        endpoint=other.request_path,
        ip=address(row.ip) or address(row.source_ip),
        image_count=count_of(reckoning.images) or None,
        usage_estimated=_is_estimated(of) or None,
        quantities={kind: count_of(count) for kind, count in reckoning.counts.items() if count > 0} or None,
        cost=cost,
        billing={**(_billing(of, reckoning, cost, quota_per_usd) or {}), **paid_from} or None,
        error=failure,
        parameters={"reasoning_effort": other.reasoning_effort} if other.reasoning_effort else None,
        upstream_request_id=kept(row.upstream_request_id or "") or None,
        channel=str(row.channel_id) if row.channel_id else None,
        attempts=_attempts(of, failed),
        task_id=kept(other.task_id or "") or None,
        metadata=_metadata(of, is_failed=failure is not None),
    )
    counts.put(event, reckoning.told)
    if odd:
        event.metadata = {**(event.metadata or {}), "left_out": odd}
    return Call(
        event=event,
        attempt=_attempt(of),
        charged_by=None if row.type == ERROR else row.id,
        rows=1 + len(failed),
        is_foldable=bool(of.request_id) and of.is_call,
    )


def _reckoning(of: Row, hub: HubMetadata, cost: Decimal | None, quota_per_usd: Decimal) -> Reckoning:
    row = of.row
    prompt, completion = count_of(row.prompt_tokens), count_of(row.completion_tokens)
    charged = cost or Decimal(0)
    try:
        if of.dialect is Dialect.ONE_HUB:
            return newapi_kin.of_one_hub(hub, prompt, completion)
        if of.dialect is Dialect.ONE_API:
            return newapi_kin.of_one_api(
                told(row.metadata, LaiskyMetadata),
                row.model_name or "",
                prompt,
                completion,
                count_of(row.cached_prompt_tokens),
                row.content or "",
                quota_per_usd,
                charged,
            )
        if not of.is_call:
            # Another call's ratios, and no tokens.
            return Reckoning(newapi_ratios.counted(Other(), prompt, completion), of.other.group)
        return newapi_ratios.reckon(
            of.other, prompt, completion, row.content or "", charged, _ONE / quota_per_usd
        )
    except ArithmeticError:
        # Ratios that no price can be made of: the charge itself stands.
        return Reckoning(newapi_ratios.counted(of.other, prompt, completion), _ONE)


def _is_estimated(of: Row) -> bool:
    if not of.is_call:
        return False
    if of.dialect is Dialect.ONE_API:
        return told(of.row.metadata, LaiskyMetadata).estimated_charge
    return of.other.is_estimated or _NO_USAGE in (of.row.content or "")


def _cost(row: NewApiRow, quota_per_usd: Decimal) -> Decimal | None:
    usd = Decimal(row.quota or 0) / quota_per_usd
    return amount(-abs(usd) if row.type == REFUND else usd)


def _billing(
    of: Row, reckoning: Reckoning, cost: Decimal | None, quota_per_usd: Decimal
) -> JSONObject | None:
    """Return the group's ratio, and the lines that the row's ratios make, in USD."""
    row, other = of.row, of.other
    if row.type not in (CONSUME, TOOL) or not cost:
        return None
    billing: JSONObject = {"source": of.dialect.value, "quota": row.quota}
    beforehand = other.pre_consumed_quota if other.pre_consumed is None else other.pre_consumed
    for name, value in (("pre_consumed_quota", beforehand), ("actual_quota", other.actual_quota)):
        if value is not None:
            billing[name] = value
    if not of.is_call:
        return billing
    try:
        made = lines(reckoning.parts, reckoning.group, cost, _ONE / quota_per_usd + reckoning.noise)
        billing["group_ratio"] = plain(reckoning.group)
    except ArithmeticError:
        made = lines((), _ONE, cost, _ONE / quota_per_usd)
    if reckoning.tier:
        billing["price_version"] = name_of(f"tier {reckoning.tier}")
    return {**billing, "lines": made}


def _metadata(of: Row, *, is_failed: bool) -> JSONObject:
    row, other = of.row, of.other
    metadata: JSONObject = {"log_id": row.id}
    if other.is_model_mapped:
        metadata["upstream_model"] = name_of(other.upstream_model_name)
    elif row.origin_model_name and row.origin_model_name != row.model_name:
        metadata["tool" if row.type == TOOL else "requested_model"] = name_of(
            row.model_name if row.type == TOOL else row.origin_model_name
        )
    if row.type == CONSUME and is_failed:
        metadata[IS_CHARGED] = True
    note = row.content or other.reason
    if not of.is_call and note:
        metadata["note"] = note[:MAX_NAME]
    return metadata


def _attempts(of: Row, failed: Sequence[Row]) -> list[JSONObject] | None:
    """Return the attempts with the rows they come from, None for a request that had only one.

    Without rows of failed attempts, which new-api writes only where it is told to, the retry chain names the
    channels at least.
    """
    if failed:
        return [*map(_attempt, failed), _attempt(of)]
    info = of.other.admin_info
    chain = [str(channel)[:MAX_NAME] for channel in info.use_channel] if info else []
    if of.row.type == ERROR:
        return [_attempt(of)]
    if len(chain) > 1:
        return [*({"channel": channel, "status": "error"} for channel in chain[:-1]), _attempt(of)]
    return None


def _attempt(of: Row) -> JSONObject:
    failure = of.failure
    return _told(
        log_id=of.row.id,
        channel=str(of.row.channel_id or ""),
        status="success" if failure is None else "error",
        http_status=of.http_status,
        duration_ms=of.duration,
        failure=failure,
    )


def _told(*, failure: Failure | None, **values: Any) -> JSONObject:
    if failure is not None:
        values["error"] = {
            "type": failure.type,
            "code": failure.code,
            "message": cut(failure.message or "", 1000),
        }
    return {name: value for name, value in values.items() if value not in (None, "")}
