"""The dialects that are known, and which of them a span is in."""

from __future__ import annotations

from logs.ingest.formats.spans.bedrock import BotocoreBedrock
from logs.ingest.formats.spans.dialect import SpanDialect
from logs.ingest.formats.spans.frameworks import GoogleADK, PydanticAI, SemanticKernel, Strands
from logs.ingest.formats.spans.langsmith import LangSmith
from logs.ingest.formats.spans.litellm_spans import LiteLLM, RawRequest
from logs.ingest.formats.spans.logfire import Logfire
from logs.ingest.formats.spans.openinference import OpenInference, OpenInferenceBedrock
from logs.ingest.formats.spans.openllmetry import (
    OpenLLMetryBedrock,
    OpenLLMetryGemini,
    OpenLLMetrySums,
)
from logs.ingest.formats.spans.span import Span
from logs.ingest.formats.spans.vercel import Vercel

KNOWN: tuple[SpanDialect, ...] = (
    # What adds attributes of its own to the spans of others comes behind them.
    LangSmith(), Vercel(), RawRequest(), Logfire(), GoogleADK(), Strands(), PydanticAI(),
    SemanticKernel(), BotocoreBedrock(), OpenLLMetryBedrock(), OpenLLMetryGemini(), OpenLLMetrySums(),
    OpenInferenceBedrock(), OpenInference(), LiteLLM(),
)  # fmt: skip
CONVENTIONS = SpanDialect()


def of(span: Span) -> SpanDialect:
    """Return the dialect of a span; the conventions themselves where it is no other's."""
    return next((dialect for dialect in KNOWN if dialect.speaks(span)), CONVENTIONS)
