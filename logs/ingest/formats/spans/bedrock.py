"""Bedrock as botocore's own instrumentation tells of it.

Source: opentelemetry-instrumentation-botocore 0.66 (``extensions/bedrock.py``).
"""

from __future__ import annotations

from logs.ingest.formats.counts import CACHE
from logs.ingest.formats.spans.dialect import SpanDialect


class BotocoreBedrock(SpanDialect):
    """Hands on Bedrock's counts, though under the names that mean included ones."""

    scopes = ("opentelemetry.instrumentation.botocore",)

    parts_beside = CACHE
