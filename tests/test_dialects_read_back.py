"""Whatever was used, told in any dialect that can carry it, is the usage of the record that is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given

from logs.models.events import COUNTS_READ
from tests import usage_told as told
from tests.dialects import event_of
from tests.usage_told import CACHE, PARTS, Attributes, Usage, usages

DIALECTS: list[tuple[str, Callable[[Usage], Attributes], tuple[str, ...]]] = [
    # The scope, how it tells usage, and which parts it has no word for.
    ("app", told.conventions, (*PARTS, "written_1h")),
    ("opentelemetry.util.genai.handler", told.by_kind, ()),
    ("app", told.old_names, (*PARTS, "written_5m", "written_1h")),
    ("app", told.anthropics_own, (*PARTS, "written_1h", "thought")),
    ("app", told.with_a_total, (*PARTS, "written_1h", "thought")),
    ("anthropic", told.conventions, (*PARTS, "written_1h")),
    ("gcp.vertex.agent", told.conventions, (*PARTS, "written_1h")),
    ("opentelemetry.instrumentation.anthropic", told.openllmetry_anthropic, (*PARTS, "written_1h")),
    ("opentelemetry.instrumentation.bedrock", told.openllmetry_bedrock, (*PARTS, "written_1h")),
    ("opentelemetry.instrumentation.google_generativeai", told.openllmetry_gemini, (*PARTS, *CACHE)),
    ("opentelemetry.instrumentation.botocore.bedrock-runtime", told.botocore, (*PARTS, "written_1h")),
    ("openinference.instrumentation.anthropic", told.openinference,
     ("written_1h", "cached_heard", "seen", "drawn")),
    ("openinference.instrumentation.openai", told.openinference_total,
     ("written_1h", "cached_heard", "seen", "drawn")),
    ("openinference.instrumentation.bedrock", told.converse, (*PARTS, "written_1h")),
    ("openinference.instrumentation.bedrock", told.nova_stream, (*PARTS, "written_1h")),
    ("openinference.instrumentation.openai", told.in_the_answer,
     ("written_5m", "written_1h", "thought", "heard", "cached_heard", "spoken")),
    ("logfire.anthropic", told.logfire, (*PARTS, "thought")),
    ("logfire.openai", told.logfire_openai, ("written_5m", "written_1h", "cached_heard", "seen", "drawn")),
    ("pydantic-ai", told.pydantic_ai, (*PARTS, "written_1h")),
    ("litellm", told.conventions, (*PARTS, "written_1h")),
    ("litellm", told.litellm_raw, ("written_5m", "written_1h", "cached_heard", "seen", "drawn")),
    ("litellm", told.litellm_raw_anthropic, (*PARTS, "thought")),
    ("ai", told.vercel, (*PARTS, "written_5m", "written_1h")),
    ("ai", told.vercel_anthropic, PARTS),
    ("ai", told.vercel_6, (*PARTS, "written_1h")),
    ("langsmith", told.langsmith, ("written_1h", "cached_heard", "seen", "drawn")),
    ("langsmith", told.langsmith_details, ("written_1h", "cached_heard", "seen", "drawn")),
    ("semantic_kernel.connectors", told.semantic_kernel, (*PARTS, *CACHE, "thought")),
    ("strands.telemetry.tracer", told.strands, (*PARTS, "written_1h", "thought")),
    ("app", told.gemini, ("written_5m", "written_1h")),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "tell", "lacking"), DIALECTS)
@given(used=usages())
def test_what_was_used_is_read(
    used: Usage, scope: str, tell: Callable[[Usage], Attributes], lacking: tuple[str, ...]
) -> None:
    if "cached_heard" in lacking:
        # Audio from the cache is not told apart there: let there be none.
        used = replace(used, heard=used.heard - used.cached_heard)
    used = replace(used, **dict.fromkeys(lacking, 0))
    event = event_of(tell(used), scope)
    right = {
        "input_tokens": used.given,
        "output_tokens": used.made,
        "cached_tokens": used.cached,
        "cache_write_tokens": used.written,
        "reasoning_tokens": used.thought,
        "audio_input_tokens": used.heard,
        "audio_output_tokens": used.spoken,
    }
    further = {
        "cache_write_1h_tokens": used.written_1h,
        "cached_audio_tokens": used.cached_heard,
        "image_input_tokens": used.seen,
        "image_output_tokens": used.drawn,
    }
    assert {name: getattr(event, name) or 0 for name in right} == right
    assert event.quantities == ({name: count for name, count in further.items() if count} or None)
    assert "contradiction" not in (event.metadata or {}).get(COUNTS_READ, {})
