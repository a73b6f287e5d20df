"""OpenLLMetry (Traceloop), where its instrumentations differ from the conventions.

Source: opentelemetry-instrumentation-bedrock, -google-generativeai, -vertexai 0.62.
"""

from __future__ import annotations

from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.spans.dialect import Dialect
from logs.ingest.formats.spans.span import Span


class OpenLLMetryBedrock(Dialect):
    """Hands on Bedrock's counts, cached and written tokens beside the input; its total is but a sum."""

    scopes = ("opentelemetry.instrumentation.bedrock",)
    is_total_a_sum = True

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        return CACHE


class OpenLLMetryGemini(Dialect):
    """Has Gemini's thinking in the total alone."""

    scopes = (
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.vertexai",
    )

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        told.thinks_beyond = True
        return super().beside(span, told)
