"""OpenLLMetry (Traceloop), where its instrumentations differ from the conventions.

Source: opentelemetry-instrumentation-anthropic, -bedrock, -google-generativeai, -langchain, -vertexai 0.62.
"""

from __future__ import annotations

from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect
from logs.ingest.formats.spans.span import Span


class OpenLLMetrySums(SpanDialect):
    """Adds up Anthropic's counts itself; LangChain has done so before it."""

    scopes = ("opentelemetry.instrumentation.anthropic", "opentelemetry.instrumentation.langchain")
    parts_beside = NOTHING


class OpenLLMetryBedrock(SpanDialect):
    """Hands on Bedrock's counts, cached and written tokens beside the input; its total is but a sum."""

    scopes = ("opentelemetry.instrumentation.bedrock",)
    parts_beside = CACHE
    is_total_a_sum = True


class OpenLLMetryGemini(SpanDialect):
    """Has Gemini's thinking in the total alone."""

    scopes = (
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.vertexai",
    )

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        told.thinks_beyond = True
        return super().beside(span, told)
