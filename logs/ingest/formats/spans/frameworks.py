"""Frameworks for agents that tell of their calls of models: what differs from the conventions.

Source: strands-agents 1.62, google-adk 2.13, pydantic-ai 2.68, semantic-kernel 1.45 and its former names.
"""

from __future__ import annotations

from typing import Any

from logs.ingest.formats.spans import names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect
from logs.ingest.formats.spans.span import Span


class Strands(SpanDialect):
    """Gives the time to the first token in milliseconds, and names itself as the provider."""

    scopes = ("strands",)

    def speaks(self, span: Span) -> bool:
        return super().speaks(span) or values.text(span.attributes, names.PROVIDER) == "strands-agents"

    def is_call(self, span: Span) -> bool:
        return super().is_call(span) and "gen_ai.agent.name" not in span.attributes

    def provider(self, span: Span) -> str | None:
        found = super().provider(span)
        return None if found == "strands-agents" else found

    def _seconds_to_first_token(self, span: Span) -> Any:
        ms = values.first(span.attributes, ("gen_ai.server.time_to_first_token",), int | float)
        return super()._seconds_to_first_token(span) if ms is None else ms / 1000


class PydanticAI(SpanDialect):
    """Adds up every provider's counts itself; ``gen_ai.usage.details.*`` are the provider's own."""

    scopes = ("pydantic-ai", "pydantic_ai")
    parts_beside = NOTHING


class GoogleADK(SpanDialect):
    """``call_llm`` is a call, whether it came to an answer or not; the model's own span may lie within."""

    scopes = ("gcp.vertex.agent",)

    def is_call(self, span: Span) -> bool:
        return super().is_call(span) or (
            span.name == "call_llm" and values.text(span.attributes, names.REQUEST_MODEL) is not None
        )

    def operation(self, span: Span) -> str:
        found = super().operation(span)
        return found or ("generate_content" if span.name == "call_llm" else "")

    def provider(self, span: Span) -> str | None:
        found = super().provider(span)
        return None if found == "gcp.vertex.agent" else found


class SemanticKernel(SpanDialect):
    """Names operations with dots (``chat.completions``), and errors by the ``str`` of their class."""

    scopes = ("semantic_kernel", "Microsoft.SemanticKernel")

    def is_call(self, span: Span) -> bool:
        return super().is_call(span) and "gen_ai.agent.id" not in span.attributes

    def response_id(self, span: Span, answer: GivenAnswer) -> str:
        found = super().response_id(span, answer)
        # Where the service gave none it is the word for nothing.
        return "" if found in ("None", "N/A") else found
