"""LiteLLM's own OpenTelemetry: version 1 (``otel``) and 2 (``otel_v2``).

Source: litellm 1.110 (``integrations/opentelemetry.py``, ``integrations/otel``). Version 1 tells of a
success on the span of whoever called, where that still takes attributes; else its ``raw_gen_ai_request``
alone does, in ``llm.<provider>.*``: the provider's request and answer, field by field, objects as Python's
``str`` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logs.ingest.formats import call_types, failures, usage_objects
from logs.ingest.formats.counts import Told
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.spans import names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect
from logs.ingest.formats.spans.span import Span
from routescope.wire.reading import MAX_TEXT

RAW = "raw_gen_ai_request"
_CALL_TYPE = ("litellm.call_type", "llm.request.type")
_ANSWERED = ("usage", "id", "object", "choices", "output", "content", "usageMetadata", "candidates")


class LiteLLM(SpanDialect):
    scopes = ("litellm",)
    parts_beside = NOTHING
    marks = ("litellm.call_id", "litellm.call_type")

    def is_call(self, span: Span) -> bool:
        kind = values.text(span.attributes, _CALL_TYPE)
        if kind and call_types.is_no_call(kind):
            return False
        return super().is_call(span)

    def response_id(self, span: Span, answer: GivenAnswer) -> str:
        # Where the provider gave none (failures, embeddings, images), version 1 names its own.
        found = super().response_id(span, answer)
        return "" if found == self.call_id(span) else found

    def endpoint(self, span: Span) -> str | None:
        return values.text(span.attributes, (*names.ENDPOINT, *_CALL_TYPE), MAX_TEXT) or super().endpoint(
            span
        )

    def cost(self, span: Span) -> Any:
        """Return the cost; 0 for a call with tokens is what it writes of a model without a price."""
        cost = super().cost(span)
        if cost or values.flag(span.attributes, ("litellm.cache_hit",)):
            return cost
        used = values.count(span.attributes, names.INPUT) or values.count(span.attributes, names.OUTPUT)
        return None if used else cost

    def error(self, span: Span) -> TakenApart:
        code = values.text(span.attributes, ("litellm.provider.error.code", "error.code"))
        status = failures.as_status(code)
        return TakenApart(http_status=status, code=code if status is None else None)


class RawRequest(SpanDialect):
    """Version 1's span of the request to the provider: a call, where no other span of LiteLLM's tells."""

    def speaks(self, span: Span) -> bool:
        if span.name == RAW:
            return True
        # A caller may give it another name.
        is_of_litellm = span.scope.startswith("litellm") and "gen_ai.operation.name" not in span.attributes
        return is_of_litellm and bool(_fields(span.attributes))

    def is_call(self, span: Span) -> bool:
        fields = _fields(span.attributes)
        return "model" in fields and any(name in fields for name in _ANSWERED)

    def operation(self, span: Span) -> str:
        fields = _fields(span.attributes)
        is_chat = "messages" in fields or "choices" in fields
        return "chat" if is_chat else str(fields.get("object") or "llm").partition(".")[0].lower()

    def response_id(self, span: Span, answer: GivenAnswer) -> str:
        return values.identifier(_fields(span.attributes), ("id", "responseId"))

    def model(self, span: Span, answer: GivenAnswer) -> str:
        return values.text(_fields(span.attributes), ("model", "modelVersion")) or ""

    def asked_model(self, span: Span) -> str | None:
        return None

    def provider(self, span: Span) -> str | None:
        name = next((name for name in span.attributes if _is_field(name)), "")
        return name.split(".")[1] if name else None

    def told(self, span: Span, answer: GivenAnswer) -> Told:
        fields = _fields(span.attributes)
        return usage_objects.told(usage_objects.loose(fields.get("usage") or fields.get("usageMetadata")))

    def quantities(self, span: Span, answer: GivenAnswer) -> dict[str, int | float]:
        return usage_objects.quantities(usage_objects.loose(_fields(span.attributes).get("usage")))

    def stream(self, span: Span) -> bool | None:
        return values.flag(_fields(span.attributes), ("stream",))

    def served_tier(self, span: Span, answer: GivenAnswer) -> str | None:
        return values.text(_fields(span.attributes), ("service_tier",))


def _fields(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the provider's request and answer."""
    return {name.split(".", 2)[2]: value for name, value in attributes.items() if _is_field(name)}


_NOT_PROVIDERS = frozenset(
    {"request", "response", "usage", "token_count", "input_messages", "output_messages"}
)


def _is_field(name: str) -> bool:
    parts = name.split(".", 2)
    return len(parts) == 3 and parts[0] == "llm" and parts[1] not in _NOT_PROVIDERS
