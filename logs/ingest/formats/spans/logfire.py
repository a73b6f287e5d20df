"""Pydantic Logfire's own instrumentations of OpenAI and Anthropic.

Source: logfire 5.2 to 5.4 (``_internal/integrations/llm_providers``). A streamed call is two spans, see
`half`. Endpoints without a word of their own come as ``OpenAI API call to '/audio/speech'``: retrievals
among them.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from logs.ingest.formats import usage_objects
from logs.ingest.formats.counts import Told
from logs.ingest.formats.spans import names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect, completed
from logs.ingest.formats.spans.half import Half
from logs.ingest.formats.spans.span import Span

_OF_URL = {
    "/audio/speech": "speech",
    "/audio/transcriptions": "transcription",
    "/audio/translations": "translation",
    "/images/edits": "image_edit",
    "/images/variations": "image_variation",
    "/moderations": "moderation",
    "/chat/completions": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/responses": "chat",
    "/v1/messages": "chat",
    "/v1/complete": "text_completion",
}
_OF_AGENTS = {
    "Responses API": "chat",
    "Chat completion with": "chat",
    "Speech → Text": "transcription",
    "Text → Speech": "speech",
}
"""How names of spans of OpenAI's Agents SDK begin; refused calls have nothing else that tells."""
_STREAMED = ("chat", "text_completion", "message", "messages")
_AGENTS = "logfire.openai_agents"
_LONGEST = 86_400.0
"""Seconds of a stream that are believed."""


class Logfire(SpanDialect):
    scopes = ("logfire",)
    parts_beside = NOTHING

    def is_call(self, span: Span) -> bool:
        if _of_agents(span):
            return True
        if (url := values.text(span.attributes, ("url",))) is not None and not super().operation(span):
            return url in _OF_URL and self.asked_model(span) is not None
        return super().is_call(span)

    def operation(self, span: Span) -> str:
        found = super().operation(span) or _of_agents(span)
        return found or _OF_URL.get(values.text(span.attributes, ("url",)) or "", "")

    def endpoint(self, span: Span) -> str | None:
        return values.text(span.attributes, ("url",)) or super().endpoint(span)

    def asked_model(self, span: Span) -> str | None:
        asked = usage_objects.loose(span.attributes.get("request_data"))
        return super().asked_model(span) or values.text(asked, ("model",))

    def told(self, span: Span, answer: GivenAnswer) -> Told:
        told = super().told(span, answer)
        if span.scope != _AGENTS:
            return told
        # What the Agents SDK counts of a chat completion stands whole in an attribute of its own.
        return completed(told, usage_objects.told(usage_objects.loose(span.attributes.get("usage"))))

    def stream(self, span: Span) -> bool | None:
        asked = usage_objects.loose(span.attributes.get("request_data")).get("stream")
        found = super().stream(span)
        return found if found is not None else asked if isinstance(asked, bool) else None

    def half(self, span: Span, answer: GivenAnswer, started: datetime, ended: datetime) -> Half | None:
        """Return which half of a streamed call a span is; None for a call of one span.

        The first ends when the answer begins, and knows neither the answer's ID nor usage; the second is a
        point in time at the stream's end. A stream that was refused at once has the first alone.
        """
        attributes = span.attributes
        if "request_data" not in attributes or span.scope == _AGENTS:
            return None
        took = attributes.get("duration")
        is_usage = attributes.get("logfire.span_type") == "log" and isinstance(took, int | float)
        if not is_usage and (span.failed or not self._may_be_first(span, answer)):
            return None
        same = (span.resource.get("service.name"), span.resource.get("service.instance.id"))
        asked = (attributes.get(n) for n in ("request_data", "gen_ai.request.model", "gen_ai.input.messages"))
        key = hashlib.blake2b(repr((same, *asked)).encode(errors="replace"), digest_size=16).hexdigest()
        # The bound comes first: of a number that is none, it is what stays.
        lasted = (
            timedelta(seconds=max(min(_LONGEST, float(took)), 0.0)) if is_usage and took else timedelta(0)
        )
        return Half(key=key, is_usage=is_usage, met_at=started - lasted if is_usage else ended)

    def _may_be_first(self, span: Span, answer: GivenAnswer) -> bool:
        operation = self.operation(span)
        if operation and operation not in _STREAMED:
            return False
        used = values.first(span.attributes, names.INPUT + names.OUTPUT, int) is not None
        return not used and not self.response_id(span, answer) and self.stream(span) is not False


def _of_agents(span: Span) -> str:
    """Return the operation of a call that OpenAI's Agents SDK makes; empty for all else of it."""
    if span.scope != _AGENTS or span.name.startswith("Text → Speech group"):
        return ""
    return next((word for begin, word in _OF_AGENTS.items() if span.name.startswith(begin)), "")
