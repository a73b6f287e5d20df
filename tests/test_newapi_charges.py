"""What new-api's rows tell of a charge: each kind a line at its price, and what the counts include."""

from __future__ import annotations

import base64
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.ingest.formats.newapi import fold
from logs.ingest.formats.newapi_rows import NewApiRow
from logs.models import RecordType
from logs.models.events import UsageEvent
from logs.pricing import facts
from logs.pricing.charges import ChargeLine
from tests.test_receipts import record

_QUOTA = 500_000


def called(other: dict[str, Any], quota: float, **columns: Any) -> UsageEvent:
    """Return the event of a row that charged ``quota``, which new-api has cut off to a whole number."""
    row: dict[str, Any] = {
        "id": 1, "created_at": int(time.time()) - 60, "type": 2, "quota": int(quota), "username": "ann",
        "model_name": "some-model", "request_id": "r", "use_time": 2, **columns,
        "other": json.dumps(other),
    }  # fmt: skip
    [call] = fold([NewApiRow(**row)])
    return call.event


def bill(event: UsageEvent) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Return the receipt's lines: (quantity, USD per million or as the line says). They add up exactly."""
    read = _facts(event)
    assert sum((line.amount for line in read), Decimal(0)) == event.cost
    return {line.item: (line.quantity, line.unit_price) for line in read if line.item != "rounding"}


def _facts(event: UsageEvent) -> tuple[ChargeLine, ...]:
    found = facts.read(record(cost=event.cost, billing=json.loads(json.dumps(event.billing))))
    assert found is not None
    return found.lines


def priced(**lines: tuple[int, str]) -> dict[str, tuple[Decimal, Decimal]]:
    return {item: (Decimal(count), Decimal(price)) for item, (count, price) in lines.items()}


# --- Cache -------------------------------------------------------------------------------------------------

_CACHE = {
    "model_ratio": 1.5, "completion_ratio": 5, "group_ratio": 1, "cache_tokens": 600, "cache_ratio": 0.1,
    "cache_creation_ratio": 1.25, "cache_creation_ratio_5m": 1.25, "cache_creation_ratio_1h": 2,
}  # fmt: skip


def test_cache_writes_of_each_lifetime_are_lines_of_their_own() -> None:
    # (30 + 600 * 0.1 + 100 * 1.25 + 400 * 2 + 50 * 5) * 1.5
    event = called(
        {**_CACHE, "claude": True, "cache_creation_tokens": 500, "cache_creation_tokens_5m": 100,
         "cache_creation_tokens_1h": 400},
        1897.5, prompt_tokens=30, completion_tokens=50,
    )  # fmt: skip
    assert (event.input_tokens, event.cached_tokens, event.cache_write_tokens) == (1130, 600, 500)
    assert event.quantities == {"cache_write_1h_tokens": 400}
    assert bill(event) == priced(
        input=(30, "3"), cached_input=(600, "0.3"), cache_write=(100, "3.75"),
        cache_write_1h=(400, "6"), output=(50, "15"),
    )  # fmt: skip


def test_writes_of_5_minutes_at_their_own_price_stand_beside_those_of_no_lifetime() -> None:
    # (30 + 200 * 1.25 + 100 * 1.5) * 1.5
    event = called(
        {**_CACHE, "cache_tokens": 0, "claude": True, "cache_creation_tokens": 300,
         "cache_creation_tokens_5m": 100, "cache_creation_ratio_5m": 1.5},
        645, prompt_tokens=30,
    )  # fmt: skip
    assert event.billing is not None
    kinds = {line["kind"]: (line["tokens"], line["unit_price"]) for line in event.billing["lines"]}
    assert kinds == {"input": (30, "3"), "cache_write": (200, "3.75"), "cache_write_5m": (100, "4.5")}
    bill(event)


@pytest.mark.parametrize(
    ("told", "quota", "input_tokens"),
    [
        ({"usage_semantic": "anthropic", "cache_creation_tokens": 200}, 2340, 1800),
        ({"claude": True, "cache_creation_tokens": 200}, 2340, 1800),
        # Rows of before the semantics were named, converted from Anthropic's own counts.
        ({"cache_creation_tokens_5m": 200}, 2340, 1800),
        ({"input_tokens_total": 1800, "cache_creation_tokens": 200}, 2340, 1800),
        ({"input_tokens_total": 1000, "cache_creation_tokens": 200}, 1140, 1000),
        ({"cache_creation_tokens": 200}, 1140, 1000),
        # The charge tells, whatever else does not.
        ({"cache_creation_tokens": 200}, 2340, 1800),
        ({"claude": True, "cache_creation_tokens": 200}, 1140, 1000),
        ({"usage_semantic": "openai", "claude": True, "cache_creation_tokens": 200}, 1140, 1000),
    ],
)
def test_what_prompt_tokens_include_is_told_by_the_total_or_by_the_charge(
    told: dict[str, Any], quota: int, input_tokens: int
) -> None:
    # Beside: (1000 + 600 * 0.1 + 200 * 1.25 + 50 * 5) * 1.5 = 2340; inside: (200 + 60 + 250 + 250) * 1.5.
    event = called({**_CACHE, **told}, quota, prompt_tokens=1000, completion_tokens=50)
    assert event.input_tokens == input_tokens
    assert bill(event) == priced(
        input=(input_tokens - 800, "3"), cached_input=(600, "0.3"), cache_write=(200, "3.75"),
        output=(50, "15"),
    )  # fmt: skip


def test_prefixes_that_overlap_are_no_more_than_the_input() -> None:
    # OpenAI counts what was read and what was written from the beginning: max(1000 - 800 - 400, 0).
    event = called(
        {"model_ratio": 1, "completion_ratio": 2, "group_ratio": 1, "cache_tokens": 800, "cache_ratio": 0.5,
         "cache_creation_tokens": 400, "cache_creation_ratio": 1.25},
        900 + 20, prompt_tokens=1000, completion_tokens=10,
    )  # fmt: skip
    assert (event.input_tokens, event.cached_tokens, event.cache_write_tokens) == (1000, 800, 200)
    assert bill(event)["cache_write"] == (Decimal(400), Decimal("2.5")), "as it was charged"


# --- Audio, images -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["audio", "ws"])
def test_audio_is_counted_and_priced_apart(flag: str) -> None:
    # (40 + 60 * 20 + 30 * 4 + 70 * 20 * 3) * 0.3 * 0.5
    event = called(
        {flag: True, "audio_input": 60, "audio_output": 70, "text_input": 40, "text_output": 30,
         "audio_ratio": 20, "audio_completion_ratio": 3, "model_ratio": 0.3, "completion_ratio": 4,
         "group_ratio": 0.5, "user_group_ratio": -1},
        834, prompt_tokens=100, completion_tokens=100,
    )  # fmt: skip
    assert (event.input_tokens, event.output_tokens) == (100, 100)
    assert (event.audio_input_tokens, event.audio_output_tokens) == (60, 70)
    assert bill(event) == priced(
        input=(40, "0.6"), audio_input=(60, "12"), output=(30, "2.4"), audio_output=(70, "36")
    )


def test_audio_at_a_price_of_its_own_is_no_text() -> None:
    # ((1000 - 300) + 10 * 8) * 0.15 + 300 * 1 / 1M * 500,000
    event = called(
        {"model_ratio": 0.15, "completion_ratio": 8, "group_ratio": 1, "audio_input_seperate_price": True,
         "audio_input_token_count": 300, "audio_input_price": 1},
        267, prompt_tokens=1000, completion_tokens=10,
    )  # fmt: skip
    assert event.audio_input_tokens == 300
    assert bill(event) == priced(input=(700, "0.3"), audio_input=(300, "1"), output=(10, "2.4"))


def test_tokens_of_images_are_of_the_input_although_they_are_called_output() -> None:
    # ((500 - 400) + 400 * 2 + 1000 * 8) * 2.5
    event = called(
        {"model_ratio": 2.5, "completion_ratio": 8, "group_ratio": 1, "image": True, "image_ratio": 2,
         "image_output": 400},
        22250, prompt_tokens=500, completion_tokens=1000,
    )  # fmt: skip
    assert event.quantities == {"image_input_tokens": 400}
    assert bill(event) == priced(input=(100, "5"), image_input=(400, "10"), output=(1000, "40"))


# --- Tools -------------------------------------------------------------------------------------------------

_PLAIN = {"model_ratio": 0.5, "completion_ratio": 4, "group_ratio": 2}
# (100 + 10 * 4) * 0.5 * 2 = 140 quota are its tokens.


@pytest.mark.parametrize(
    ("told", "quota", "counts", "lines"),
    [
        ({"tool_surcharges": [{"name": "file_search", "count": 3, "price": 2.5}]}, 7500,
         {"file_search_count": 3}, {"file_search": (3, "2.5")}),
        ({"tool_surcharges": [{"name": "web_search_preview", "count": 1, "price": 25},
                              {"name": "lookup_customer", "count": 2, "price": 5}]}, 35000,
         {"web_search_count": 1, "tool_call_count": 2},
         {"web_search": (1, "25"), "lookup_customer": (2, "5")}),
        ({"tool_surcharges": [{"name": "google_search", "count": 1, "price": 35},
                              {"name": "web_search", "count": 1, "price": 10}]}, 45000,
         {"web_search_count": 2}, {"web_search": (1, "10"), "google_search": (1, "35")}),
        ({"web_search": True, "web_search_call_count": 2, "web_search_price": 10, "file_search": True,
          "file_search_call_count": 1, "file_search_price": 2.5}, 22500,
         {"web_search_count": 2, "file_search_count": 1},
         {"web_search": (2, "10"), "file_search": (1, "2.5")}),
        ({"image_generation_call": True, "image_generation_call_price": 0.042}, 42000,
         {"tool_call_count": 1}, {"image_generation": (1, "0.042")}),
    ],
)  # fmt: skip
def test_calls_of_tools_are_lines_and_counts(
    told: dict[str, Any], quota: int, counts: dict[str, int], lines: dict[str, tuple[int, str]]
) -> None:
    event = called({**_PLAIN, **told}, 140 + quota, prompt_tokens=100, completion_tokens=10)
    assert event.quantities == counts
    assert bill(event) == priced(input=(100, "1"), output=(10, "4"), **lines)
    assert "other" not in {line.item for line in _facts(event)}


def test_one_tool_at_two_prices_is_two_lines() -> None:
    sold = [{"name": "web_search", "count": 1, "price": price} for price in (10, 25)]
    event = called({**_PLAIN, "tool_surcharges": sold}, 140 + 35_000, prompt_tokens=100, completion_tokens=10)
    assert event.quantities == {"web_search_count": 2}
    lines = priced(input=(100, "1"), output=(10, "4"), web_search=(1, "10"))
    assert bill(event) == {**lines, "web_search 2": (Decimal(1), Decimal(25))}


def test_tools_stand_beside_a_price_by_the_call() -> None:
    event = called(
        {"model_price": 0.01, "group_ratio": 1,
         "tool_surcharges": [{"name": "web_search", "count": 1, "price": 10}]},
        10_000,
    )  # fmt: skip
    assert bill(event) == priced(per_call=(1, "0.01"), web_search=(1, "10"))


# --- Tiers -------------------------------------------------------------------------------------------------


def tiered(expression: str, tier: str, **more: Any) -> dict[str, Any]:
    encoded = base64.b64encode(expression.encode()).decode()
    return {
        "model_ratio": 0, "completion_ratio": 0, "group_ratio": 1, "billing_mode": "tiered_expr",
        "matched_tier": tier, "expr_b64": encoded, **more,
    }  # fmt: skip


_LONG = (
    'len <= 200000 ? tier("standard", p * 3 + c * 15 + cr * 0.3 + cc * 3.75 + cc1h * 6)'
    ' : tier("long_context", p * 6 + c * 22.5 + cr * 0.6 + cc * 7.5 + cc1h * 12)'
)


def test_a_tier_that_is_told_is_its_kinds() -> None:
    # 250,000 * 6 + 1,000 * 22.5 + 40,000 * 0.6 + 10,000 * 7.5 + 20,000 * 12
    event = called(
        tiered(_LONG, "long_context", claude=True, cache_tokens=40_000, cache_creation_tokens=30_000,
               cache_creation_tokens_1h=20_000, group_ratio=0.5),
        (1_500_000 + 22_500 + 24_000 + 75_000 + 240_000) * 0.5 / 2, prompt_tokens=250_000,
        completion_tokens=1000,
    )  # fmt: skip
    assert event.input_tokens == 320_000
    assert bill(event) == priced(
        input=(250_000, "6"), output=(1000, "22.5"), cached_input=(40_000, "0.6"),
        cache_write=(10_000, "7.5"), cache_write_1h=(20_000, "12"),
    )  # fmt: skip
    assert event.billing is not None
    assert event.billing["price_version"] == "tier long_context"


@pytest.mark.parametrize(
    ("told", "quota"),
    [
        # The input includes what was cached, the rule doubles.
        (tiered('tier("base", p * 2 + c * 10 + cr * 0.2) * (param("x") == 1 ? 2 : 1)', "base",
                cache_tokens=300, request_rules=[{"cond": "x", "multiplier": 2, "matched": True},
                                                 {"cond": "y", "multiplier": 9, "matched": False}]), 2460),
        (tiered('v1:tier("base", p * 2 + c * 10 + cr * 0.2)', "base", cache_tokens=300), 1230),
    ],
)  # fmt: skip
def test_a_tier_s_multipliers_are_in_its_prices(told: dict[str, Any], quota: int) -> None:
    event = called(told, quota, prompt_tokens=1000, completion_tokens=100)
    factor = Decimal(quota) / 1230
    assert event.input_tokens == 1000
    assert bill(event) == {
        "input": (Decimal(700), 2 * factor), "output": (Decimal(100), 10 * factor),
        "cached_input": (Decimal(300), Decimal("0.2") * factor),
    }  # fmt: skip


def test_a_task_s_tier_prices_what_it_made() -> None:
    told = tiered('tier("480p", u("seconds") * 0.4)', "480p", is_task=True, usage_facts={"seconds": 5})
    event = called(told, 1_000_000)
    assert (event.type, event.quantities) == (RecordType.TASK, {"video_seconds": 5})
    assert bill(event) == priced(video_seconds=(5, "0.4"))


@pytest.mark.parametrize(
    "told",
    [
        {"billing_mode": "tiered_expr", "matched_tier": "b", "model_ratio": 0, "completion_ratio": 0},
        tiered('tier("b", p * 3)', "b"),  # Not what was charged.
        tiered('tier("b", max(p * 3, 100))', "b"),
        tiered('tier("b", p * 3', "b"),
        tiered('tier("a", p * 3)', "b"),
        {**tiered("", "b"), "expr_b64": "no base64!"},
        {**tiered("", "b"), "expr_b64": base64.b64encode(b"\xff\xfe").decode()},
    ],
)
def test_a_tier_that_is_not_told_is_one_true_line(told: dict[str, Any]) -> None:
    event = called({"group_ratio": 2, **told}, 382_500, prompt_tokens=300_000, completion_tokens=1000)
    [line] = _facts(event)
    assert (line.item, line.amount, line.quantity, line.label) == ("tier b", event.cost, None, "Tier b")


def test_what_costs_nothing_explains_no_charge() -> None:
    event = called({"model_ratio": 0, "completion_ratio": 0}, 1000, prompt_tokens=10, completion_tokens=5)
    assert [line.item for line in _facts(event)] == ["other"]


# --- By the call -------------------------------------------------------------------------------------------


def test_seconds_and_images_that_a_price_was_multiplied_by_are_told() -> None:
    video = called(
        {"is_task": True, "model_price": 0.1, "group_ratio": 1}, 0.1 * 8 * 1.6667 * _QUOTA,
        content="操作 generate, 计算参数：seconds: 8.00, size: 1.67",
    )  # fmt: skip
    assert video.quantities == {"video_seconds": 8}
    assert bill(video)["video_seconds"][0] == 8
    assert [line.item for line in _facts(video)] == ["video_seconds"]
    images = called(
        {"model_price": 0.04, "group_ratio": 0.5}, 0.04 * 2 * 3 * 0.5 * _QUOTA,
        content="大小 1024x1792, 品质 hd, 张数 3",
    )  # fmt: skip
    assert images.image_count == 3
    assert bill(images) == priced(per_image=(3, "0.08"))


def test_a_fee_for_a_violation_is_a_refused_call_that_was_charged() -> None:
    event = called(
        {"violation_fee": True, "violation_fee_code": "violation_fee.grok.csam", "fee_quota": 25_000,
         "status_code": 403, "group_ratio": 1, "violation_fee_marker": "Failed check: SAFETY_CHECK_TYPE"},
        25_000, content="Violation fee charged",
    )  # fmt: skip
    assert event.error is not None
    assert (event.error.code, event.http_status, event.cost) == (
        "violation_fee.grok.csam", 403, Decimal("0.05"),
    )  # fmt: skip


@given(
    other=st.dictionaries(
        st.sampled_from([
            "model_ratio", "completion_ratio", "group_ratio", "cache_tokens", "cache_ratio", "model_price",
            "cache_creation_tokens", "cache_creation_tokens_1h", "cache_creation_ratio_1h", "audio_input",
            "audio_output", "text_input", "audio_ratio", "image_output", "image_ratio", "input_tokens_total",
            "tool_surcharges", "billing_mode", "matched_tier", "expr_b64", "claude", "audio", "usage_facts",
            "stream_status", "request_rules", "web_search_call_count", "web_search_price", "actual_quota",
            "is_task", "task_id", "usage_semantic", "frt", "user_group_ratio",
        ]),
        st.none() | st.booleans() | st.integers(-5, 2**63 - 1) | st.floats(-1, 1e12) | st.text(max_size=9)
        | st.lists(st.dictionaries(st.sampled_from(["name", "count", "price"]), st.integers(-3, 10**6))),
    ),
    quota=st.integers(-(10**9), 10**12),
    prompt=st.integers(-5, 10**10),
)  # fmt: skip
def test_lines_add_up_whatever_a_row_tells(other: dict[str, Any], quota: int, prompt: int) -> None:
    event = called(other, quota, prompt_tokens=prompt, completion_tokens=7)
    assert event.cost == Decimal(quota) / _QUOTA
    if event.billing and "lines" in event.billing:
        made = sum((Decimal(line["amount"]) for line in event.billing["lines"]), Decimal(0))
        assert made == event.cost


# --- Ratios that another gateway sends as they are ---------------------------------------------------------


def test_ratios_that_are_sent_as_they_are_make_the_same_lines() -> None:
    sent = {
        "model_ratio": 1.25, "completion_ratio": 4, "group_ratio": 2, "audio_ratio": 16,
        "audio_completion_ratio": 2, "tool_surcharges": [{"name": "web_search", "count": 2, "price": 10}],
    }  # fmt: skip
    heard = {"audio_input_tokens": 900, "audio_output_tokens": 800, "cached_tokens": 0}
    found = facts.read(record(billing=sent, input_tokens=1000, output_tokens=1000, **heard))
    assert found is not None
    assert {line.item: (line.quantity, line.unit_price) for line in found.lines} == priced(
        input=(100, "2.5"), audio_input=(900, "40"), output=(200, "10"), audio_output=(800, "80"),
        web_search=(2, "10"),
    )  # fmt: skip
    assert sum(line.amount for line in found.lines) == Decimal("0.2445")


def test_ratios_of_nothing_say_nothing_of_a_charge() -> None:
    sent = {"model_ratio": 0, "completion_ratio": 0, "billing_mode": "tiered_expr", "matched_tier": "b"}
    assert facts.read(record(billing=sent, cost=Decimal(1))) is None
