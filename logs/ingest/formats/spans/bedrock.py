"""Bedrock as botocore's own instrumentation tells of it.

Source: opentelemetry-instrumentation-botocore 0.66 (``extensions/bedrock.py``).
"""

from __future__ import annotations

from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.spans.dialect import Dialect
from logs.ingest.formats.spans.span import Span


class BotocoreBedrock(Dialect):
    """Hands on Bedrock's counts, though under the names that mean included ones."""

    scopes = ("opentelemetry.instrumentation.botocore",)

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        return CACHE
