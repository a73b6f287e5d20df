"""Token counts: whatever side of input and output a sender counts a part on, the record read is the usage."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.ingest.formats import litellm, native
from logs.ingest.formats.counts import CACHE, REASONING, Told, settle, thinks_beyond
from logs.models import UsageRecord
from logs.models.events import COUNTS_READ, UsageEvent
from logs.record import tokens
from routescope.wire.reading import MAX_COUNT

COUNT = st.integers(0, 100_000)


@pytest.mark.parametrize(
    ("told", "right"),
    [
        # Inside, as the documents say.
        (Told(input=1000, output=50, cached=600, reasoning=20), (1000, 50)),
        (Told(input=1000, output=50, total=1050, cached=600, written=200), (1000, 50)),
        # Larger than what would hold it: beside, also where the total is the sum of the two as sent.
        (Told(input=10, output=500, written=5000), (5010, 500)),
        (Told(input=3, output=60, total=63, cached=0, written=5424), (5427, 60)),
        (Told(input=3, output=7, reasoning=90), (3, 97)),
        (Told(input=700, output=1, cached=600, written=5000), (6300, 1)),
        (Told(input=700, output=1, cached=600, written=5000, is_split=True), (5700, 1)),
        # The total decides, whatever the dialect says.
        (Told(input=1000, output=50, total=1850, cached=600, written=200), (1800, 50)),
        (Told(input=1000, output=50, total=1250, cached=600, written=200), (1200, 50)),
        (Told(input=10_120, output=2_999, total=14_119, cached=128, reasoning=1_000), (10_120, 3_999)),
        (Told(input=100, output=50, total=150, cached=30, beside=CACHE), (100, 50)),
        (Told(input=100, output=50, total=230, cached=30, reasoning=50), (130, 100)),
        # Thinking that only the total has, of those who count so.
        (Told(input=100, output=20, total=170, thinks_beyond=True), (100, 70)),
        (
            Told(
                input=100,
                output=20,
                total=180,
                tool_input=10,
                beside=frozenset({"tool_input"}),
                thinks_beyond=True,
            ),
            (110, 70),
        ),
        # Nothing else decides: the dialect.
        (Told(input=100, output=20, cached=50, written=30, beside=CACHE), (180, 20)),
        (Told(input=100, output=20, reasoning=5, beside=REASONING), (100, 25)),
        # One of the two was not given.
        (Told(total=77), (77, 0)),
        (Told(input=7, total=7), (7, 0)),
        (Told(input=7, total=17), (7, 10)),
        (Told(output=7, total=17), (10, 7)),
        (Told(input=7, total=67, cached=50, beside=CACHE), (57, 10)),
        (Told(), (0, 0)),
    ],
)
def test_what_the_body_says_decides(told: Told, right: tuple[int, int]) -> None:
    settled = settle(told)
    assert (settled.input, settled.output) == right
    assert not settled.is_contradiction


@pytest.mark.parametrize(
    "told",
    [
        Told(input=100, output=20, total=170),
        Told(input=100, output=20, total=60),
        Told(input=100, output=20, total=1000, cached=30, written=10, reasoning=5),
        Told(input=100, output=20, total=90, thinks_beyond=True),
        Told(input=100, output=20, total=170, reasoning=5, thinks_beyond=True),
    ],
)
def test_what_contradicts_itself_is_kept_as_sent(told: Told) -> None:
    settled = settle(told)
    assert settled.is_contradiction
    assert (settled.input, settled.output) == (told.input, told.output)


@given(
    fresh=COUNT, cached=COUNT, written=COUNT, text=COUNT, reasoning=COUNT,
    side=st.sampled_from(["inside", "cache", "written", "reasoning", "all"]),
    says=st.sampled_from(["total", "dialect"]),
)  # fmt: skip
def test_whatever_is_counted_where_the_usage_is_read(
    fresh: int, cached: int, written: int, text: int, reasoning: int, side: str, says: str
) -> None:
    beside = {
        "inside": frozenset[str](), "cache": CACHE, "written": frozenset({"written"}),
        "reasoning": REASONING, "all": CACHE | REASONING,
    }[side]  # fmt: skip
    counts = {"cached": cached, "written": written, "reasoning": reasoning}
    usual = {"input": fresh + cached + written, "output": text + reasoning}
    sent = dict(usual)
    for name in beside:
        sent["output" if name == "reasoning" else "input"] -= counts[name]
    total = sum(usual.values()) if says == "total" else None
    settled = settle(
        Told(
            input=sent["input"], output=sent["output"], cached=cached, written=written, reasoning=reasoning,
            total=total, beside=beside, is_split=side == "written",
        )
    )  # fmt: skip
    assert settled.input + settled.output == sum(usual.values())
    # Two parts of one size on either side of the same sum cannot be told apart by it.
    sums = [cached, written, reasoning, cached + written, cached + reasoning, written + reasoning]
    if len({*sums, 0}) == len(sums) + 1:
        assert {"input": settled.input, "output": settled.output} == usual


@given(st.builds(Told, **dict.fromkeys(("input", "output", "total", "cached", "written", "written_1h",
    "reasoning", "audio_input", "audio_output", "image_input", "tool_input"),
    st.none() | st.integers(-5, MAX_COUNT * 2)), beside=st.sampled_from([CACHE, REASONING, frozenset()]),
    is_split=st.booleans(), thinks_beyond=st.booleans()))  # fmt: skip
def test_no_counts_break_it(told: Told) -> None:
    settled = settle(told)
    assert 0 <= settled.input <= MAX_COUNT
    assert 0 <= settled.output <= MAX_COUNT


def test_whose_total_may_hold_thinking() -> None:
    assert thinks_beyond("vertex_ai", "gemini-2.5-pro")
    assert thinks_beyond("", "google/gemini-3-flash")
    assert not thinks_beyond("vertex_ai", "claude-sonnet-4-5")
    assert not thinks_beyond("openai", "gpt-5")


# --- Native ------------------------------------------------------------------------------------------------


def read_native(**fields: Any) -> UsageEvent:
    record = {"request_id": "r", "created_at": "2026-03-10T12:00:00Z", "model": "m", **fields}
    batch = native.decode(json.dumps([record]).encode())
    assert not batch.rejected
    return batch.events[0][1]


def test_native_counts_beside_are_added() -> None:
    event = read_native(input_tokens=12, cache_write_tokens=4_000, cached_tokens=30, output_tokens=5)
    assert (event.input_tokens, event.cached_tokens, event.cache_write_tokens) == (4_042, 30, 4_000)
    assert event.metadata == {
        COUNTS_READ: {"sent": {"input": 12, "output": 5}, "by": "size", "beside": ["cached", "written"]}
    }


def test_native_kinds_are_kept() -> None:
    event = read_native(
        input_tokens=10_000, cache_write_5m_tokens=3_000, cache_write_1h_tokens=5_000, output_tokens=9,
        audio_input_tokens=900, cached_audio_tokens=100, cached_tokens=100, pages=3, video_seconds=7.5,
        audio_seconds=4.0, file_search_count=2,
    )  # fmt: skip
    assert event.cache_write_tokens == 8_000
    assert event.quantities == {
        "cache_write_1h_tokens": 5_000, "cached_audio_tokens": 100, "pages": 3, "video_seconds": 7.5,
        "audio_seconds": 4, "file_search_count": 2,
    }  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"), st.integers(0, 100)
        ),
    )
)
def test_the_short_way_says_what_settling_says(fields: dict[str, int]) -> None:
    event = read_native(**fields)
    told = {name.removesuffix("_tokens"): count for name, count in fields.items()}
    settled = settle(msgspec.convert(told, Told))
    assert (event.input_tokens, event.output_tokens, event.reasoning_tokens) == (
        settled.input, settled.output, settled.reasoning,
    )  # fmt: skip


# --- LiteLLM -----------------------------------------------------------------------------------------------


def read_litellm(usage: dict[str, Any], **fields: Any) -> UsageEvent:
    payload = {
        "id": "x", "status": "success", "startTime": 1_773_144_000.0, "model": "m",
        "metadata": {"usage_object": usage}, **fields,
    }  # fmt: skip
    return litellm.decode(json.dumps([payload]).encode()).events[0][1]


@pytest.mark.parametrize(
    ("usage", "fields", "right"),
    [
        # Anthropic's own route: beside. LiteLLM's total there adds the two as they are.
        ({"input_tokens": 900, "output_tokens": 60, "cache_read_input_tokens": 400,
          "cache_creation_input_tokens": 100},
         {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}, (1400, 60, 400, 100, None)),
        # The same usage object, of which LiteLLM has added all up already.
        ({"input_tokens": 900, "output_tokens": 60, "cache_read_input_tokens": 400,
          "cache_creation_input_tokens": 100},
         {"prompt_tokens": 1400, "completion_tokens": 60, "total_tokens": 1460}, (1400, 60, 400, 100, None)),
        # Read inside, written beside, as some of its versions count.
        ({"prompt_tokens": 700, "completion_tokens": 5, "total_tokens": 705,
          "cache_creation_input_tokens": 5_000, "prompt_tokens_details": {"cached_tokens": 600}},
         {"prompt_tokens": 700, "completion_tokens": 5, "total_tokens": 705}, (5700, 5, 600, 5_000, None)),
        # Reasoning beside a larger output: the total says so.
        ({"prompt_tokens": 50, "completion_tokens": 200, "total_tokens": 310,
          "completion_tokens_details": {"reasoning_tokens": 60}},
         {"prompt_tokens": 50, "completion_tokens": 200, "total_tokens": 310, "custom_llm_provider": "xai"},
         (50, 260, 0, None, 60)),
        # Gemini's thinking in the total alone.
        ({"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 100},
         {"prompt_tokens": 50, "completion_tokens": 20, "custom_llm_provider": "gemini"},
         (50, 50, 0, None, 30)),
        # Responses.
        ({"input_tokens": 80, "output_tokens": 20, "total_tokens": 100,
          "input_tokens_details": {"cached_tokens": 64}, "output_tokens_details": {"reasoning_tokens": 8}},
         {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (80, 20, 64, None, 8)),
    ],
)  # fmt: skip
def test_litellm_counts_are_settled(
    usage: dict[str, Any], fields: dict[str, Any], right: tuple[int | None, ...]
) -> None:
    event = read_litellm(usage, **fields)
    assert (
        event.input_tokens, event.output_tokens, event.cached_tokens, event.cache_write_tokens,
        event.reasoning_tokens,
    ) == right  # fmt: skip


def test_litellm_kinds_are_kept() -> None:
    event = read_litellm(
        {
            "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500, "service_tier": "flex",
            "prompt_tokens_details": {
                "cached_tokens": 200, "audio_tokens": 300, "image_tokens": 100, "cache_creation_tokens": 90,
                "cache_creation_token_details": {
                    "ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 60,
                },
            },
            "completion_tokens_details": {"audio_tokens": 400, "image_tokens": 50},
            "server_tool_use": {"web_search_requests": 2},
        },
        prompt_tokens=1000, completion_tokens=500,
    )  # fmt: skip
    assert (event.audio_input_tokens, event.audio_output_tokens, event.cache_write_tokens) == (300, 400, 90)
    assert event.quantities == {
        "cache_write_1h_tokens": 60, "image_input_tokens": 100, "image_output_tokens": 50,
        "web_search_count": 2,
    }  # fmt: skip
    assert event.billing == {"service_tier": "flex"}


# --- Shown -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input_tokens": 1000, "cached_tokens": 600, "output_tokens": 50, "total_tokens": 1650},
         "1,000 in and 50 out were sent, with cached input beside them: the total of 1,650 says so."),
        ({"input_tokens": 10, "cache_write_tokens": 500}, "more than what would hold them"),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 99}, "contradict each other"),
        (
            {"input_tokens": 10, "output_tokens": 5, "total_tokens": 99, "model": "gemini-x"},
            "the total of 99 leaves",
        ),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}, ""),
    ],
)  # fmt: skip
def test_how_counts_were_read_is_said(fields: dict[str, Any], words: str) -> None:
    said = tokens.how_read(UsageRecord(metadata=read_native(**fields).metadata))
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    "metadata",
    [
        {COUNTS_READ: 1},
        {COUNTS_READ: {"sent": 2}},
        {COUNTS_READ: {"sent": {"input": "x", "total": None}, "by": ["y"], "beside": [["z"], 3]}},
    ],
)
def test_what_a_client_wrote_there_itself_breaks_nothing(metadata: dict[str, Any]) -> None:
    assert isinstance(tokens.how_read(UsageRecord(metadata=metadata)), str)
