"""LangSmith's own export (``LANGSMITH_OTEL_ENABLED``): runs of LangChain and of ``@traceable``.

Source: langsmith 0.15 (``_internal/otel/_otel_exporter.py``). A prompt template is a ``chat`` there, too,
and a retriever an embedding: only the kind of the run tells.
"""

from __future__ import annotations

from logs.ingest.formats import usage_objects
from logs.ingest.formats.counts import Told
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.spans import values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect, completed
from logs.ingest.formats.spans.span import Span

_KIND = "langsmith.span.kind"
_CALLS = ("llm", "embedding")
_IN, _OUT = "gen_ai.usage.input_token_details", "gen_ai.usage.output_token_details"


class LangSmith(SpanDialect):
    scopes = ("langsmith",)
    parts_beside = NOTHING
    marks = (_KIND,)

    def is_call(self, span: Span) -> bool:
        return values.text(span.attributes, (_KIND,)) in _CALLS

    def told(self, span: Span, answer: GivenAnswer) -> Told:
        details = {"input_token_details": span.attributes.get(_IN)}
        details["output_token_details"] = span.attributes.get(_OUT)
        found = {name: usage_objects.loose(value) for name, value in details.items() if value}
        told = super().told(span, answer)
        return completed(told, usage_objects.told(found)) if found else told

    def provider(self, span: Span) -> str | None:
        # Where it knows no better the system is LangChain itself.
        return values.text(span.attributes, ("langsmith.metadata.ls_provider",)) or super().provider(span)

    def stream(self, span: Span) -> bool | None:
        # What was asked of the model's object may not be what was done.
        found = super().stream(span) or self.answer(span).is_streamed or None
        return found or values.flag(
            span.attributes, ("langsmith.metadata.stream", "langsmith.metadata.streaming")
        )

    def user(self, span: Span) -> str:
        return super().user(span) or values.identifier(
            span.attributes, ("langsmith.metadata.user_id", "langsmith.metadata.user")
        )

    def has_failed(self, span: Span) -> bool:
        # Of a run that it sends in two parts it sets the status to OK again, after the exception.
        return span.failed or any(happened.name == "exception" for happened in span.events)

    def error(self, span: Span) -> TakenApart:
        return self.answer(span).error or TakenApart()
