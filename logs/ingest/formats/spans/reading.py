"""A span read: the one place that makes a record's event of what a dialect tells.

Which attributes tell what is the dialects' (`logs.ingest.formats.spans.known`); what the counts mean is
decided by `logs.ingest.formats.counts`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from logs.ingest.formats import counts, parameters
from logs.ingest.formats.spans import content, errors, known, labels, names, values
from logs.ingest.formats.spans.half import Half
from logs.ingest.formats.spans.logfire import Logfire
from logs.ingest.formats.spans.span import Span
from logs.models import Status
from logs.models.events import JSONObject, UsageEvent
from logs.models.marks import TAGS
from routescope.data.ids import EPOCH
from routescope.text.identifiers import kept, shown
from routescope.wire.reading import MAX_COUNT, MAX_NAME, MAX_TEXT, RecordError, address, amount, built


class Reading(msgspec.Struct, frozen=True):
    """A model call as one span tells it."""

    event: UsageEvent
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    scope: str
    has_response_id: bool
    """Whether ``event.request_id`` is the response's, which other spans of the call share."""
    call_id: str | None
    """LiteLLM's, which its attempts at one call share."""
    half: Half | None
    twin_key: str
    """A hash of what two instrumentations of one call share that know nothing of each other."""

    @property
    def span(self) -> str:
        """Trace and span ID: a span sent again is the same span."""
        return f"{self.trace_id}:{self.span_id}"

    @property
    def ended_at(self) -> datetime:
        return self.event.created_at + timedelta(milliseconds=self.event.duration_ms or 0)


def read(span: Span) -> Reading | None:
    """Return the model call of a span, None for a span of anything else. Raises RecordError for a bad
    one."""
    dialect = known.of(span)
    if not dialect.is_call(span):
        return None
    if len(span.trace_id) != 32 or len(span.span_id) != 16:
        raise RecordError("traceId, spanId: not 16 and 8 bytes")
    started, ended = _moment(span.start_ns), _moment(span.end_ns)
    answer = dialect.answer(span)
    sent_id = dialect.response_id(span, answer)
    response_id = kept(sent_id) or None
    call_id = kept(dialect.call_id(span)) or None
    half = dialect.half(span, answer, started, ended) if isinstance(dialect, Logfire) else None
    if half is not None and half.is_usage:
        started = half.met_at
    http_status, failure = errors.read(span, dialect)
    failed = span.failed or failure is not None
    model, asked = dialect.model(span, answer), dialect.asked_model(span)
    stream = dialect.stream(span)
    provider_id = kept(dialect.provider_id(span) or (failure and failure.request_id) or "") or None
    ours = call_id if call_id != response_id else None
    refused = failed and answer.error is not None
    event = UsageEvent(
        request_id=response_id or call_id or span.span_id,
        identity=f"{span.trace_id}:{span.span_id}"
        if not response_id
        else (None if response_id == sent_id else sent_id),
        created_at=started,
        status=Status.ERROR if failed else Status.SUCCESS,
        user=dialect.user(span)[:MAX_NAME],
        token=dialect.token(span) or "",
        group=dialect.group(span) or "",
        model=model,
        stream=True if half and stream is None else stream,
        duration_ms=_milliseconds(ended - started),
        ttft_ms=dialect.first_token_ms(span),
        http_status=http_status if http_status or failed else 200,
        endpoint=dialect.endpoint(span),
        ip=address(values.text(span.attributes, ("client.address",))),
        user_agent=values.text(
            span.attributes, ("user_agent.original", "ai.request.headers.user-agent"), MAX_TEXT
        ),
        image_count=None if dialect.operation(span).startswith("embed") else answer.images,
        quantities=dialect.quantities(span, answer) or None,
        cost=_cost(dialect.cost(span)),
        error=failure.failure() if failure else None,
        parameters=parameters.without_content(dialect.parameters(span)),
        upstream_request_id=(ours if response_id else None) or provider_id,
        provider=dialect.provider(span),
        input=content.of_input(span),
        # What a refused call answers is the error once more.
        output=None if refused else content.of_output(span),
        metadata=_metadata(span, asked if asked != model else None, ours, provider_id),
    )
    counts.put(event, dialect.told(span, answer))
    if tier := dialect.served_tier(span, answer):
        event.billing = {"service_tier": tier}
    return Reading(
        event=event,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        scope=span.scope,
        has_response_id=response_id is not None,
        call_id=call_id,
        half=half,
        twin_key=_twin_key(span, asked or model),
    )


def _twin_key(span: Span, model: str) -> str:
    same = (span.resource.get("service.name"), span.resource.get("service.instance.id"), model)
    return hashlib.blake2b(repr(same).encode(errors="replace"), digest_size=16).hexdigest()


def _cost(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        cost = amount(Decimal(str(value)))
    except (InvalidOperation, RecordError):
        return None
    return cost if cost is None or cost >= 0 else None


def _metadata(span: Span, asked: str | None, call_id: str | None, provider_id: str | None) -> JSONObject:
    attributes = span.attributes
    reasons = next(
        (
            attributes[name]
            for name in (
                "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason",
                "ai.response.finishReason", "anthropic.message.stop_reason",
            )
            if attributes.get(name)
        ),
        None,
    )  # fmt: skip
    if isinstance(reasons, str):
        # logfire sends the list as JSON text, OpenInference one word.
        reasons = built(reasons.encode(errors="replace")) or [reasons]
    kept_fields = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "scope": span.scope[:MAX_NAME] or None,
        "service": values.text(span.resource, ("service.name",)),
        "environment": values.text(span.resource, ("deployment.environment.name", "deployment.environment")),
        "requested_model": asked,
        "upstream_model": values.text(attributes, ("litellm.provider.model",)),
        "finish_reasons": [str(r)[:50] for r in reasons[:10]] if isinstance(reasons, list) else None,
        "session_id": values.text(attributes, names.SESSION),
        TAGS: labels.tags(span),
        "requester_metadata": labels.metadata(span),
        "api_base": values.text(attributes, ("server.address",)),
        "call_id": call_id,
        "provider_request_id": provider_id,
        "client_request_id": kept(values.identifier(attributes, names.CLIENT_ID)),
        "left_out": sorted({shown(name)[:MAX_NAME] for name in span.left_out})[:20],
    }
    return {name: value for name, value in kept_fields.items() if value}


def _moment(nanoseconds: int) -> datetime:
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        raise RecordError("startTimeUnixNano, endTimeUnixNano: out of range") from None


def _milliseconds(lasted: timedelta) -> int | None:
    value = round(lasted.total_seconds() * 1000)
    return value if 0 <= value <= MAX_COUNT else None
