"""Service tiers: which one a call was of, and that it costs what that one costs, or nothing that is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import AIModel, Gateway, User
from logs.models import ModelPrice, UsageRecord
from logs.models.prices import BEGINNING
from logs.pricing.consumed import Consumed, service_tier
from logs.pricing.quotes import Quote, priced
from tests.cast import event, just_now, store


@pytest.mark.parametrize(
    ("billing", "parameters", "endpoint", "tier"),
    [
        (None, None, None, ""),
        ({}, {}, "/v1/responses", ""),
        ({"service_tier": "flex"}, None, None, "flex"),
        ({"service_tier": "Priority "}, None, None, "priority"),
        (None, {"service_tier": "flex"}, None, "flex"),
        # What the answer said holds: it was asked for flex, and got none.
        ({"service_tier": "default"}, {"service_tier": "flex"}, None, ""),
        ({"sent": {"service_tier": "default"}}, {"service_tier": "flex"}, None, ""),
        ({"sent": {"service_tier": "priority"}}, {"service_tier": "auto"}, None, "priority"),
        *[(None, {"service_tier": word}, None, "") for word in
          ("auto", "default", "standard", "standard_only", "on_demand", "on-demand", "")],
        # An answer in a batch says "default", too.
        ({"service_tier": "default"}, None, "/v1/batches", "batch"),
        (None, None, "/v1/messages/batches", "batch"),
        (None, {"service_tier": "auto"}, "/v1/messages/batches/msgbatch_1/results", "batch"),
        (None, None, "/v1beta/models/gemini-2.5-flash:batchGenerateContent", "batch"),
        ({"service_tier": "flex"}, None, "/v1/batches", "flex"),
        (None, {"speed": "fast"}, None, "fast"),
        ({"service_tier": 3}, {"service_tier": ["flex"]}, None, ""),
        ({"service_tier": "x" * 999}, None, None, "x" * 30),
    ],
)  # fmt: skip
def test_the_tier_of_a_call_is_what_its_answer_said_or_what_was_asked_for(
    billing: Any, parameters: Any, endpoint: str | None, tier: str
) -> None:
    assert service_tier(billing, parameters, endpoint) == tier


def quoted(provider: str, model: str, tier: str, at: datetime, **counts: int) -> Quote:
    found = priced(Consumed(at, None, model, provider, None, counts, tier), None, Decimal(1))
    assert isinstance(found, Quote)
    return found


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MILLION = 10**6


@pytest.mark.parametrize(
    ("provider", "model", "tier", "at", "cost"),
    [
        ("openai", "gpt-5", "flex", NOW, "0.625"),
        # Before the base catalogue had looked: as the provider's own page said then.
        ("openai", "gpt-5", "flex", datetime(2026, 3, 1, tzinfo=UTC), "0.625"),
        ("openai", "gpt-5", "flex", datetime(2025, 8, 6, tzinfo=UTC), None),
        ("openai", "gpt-5", "priority", datetime(2026, 3, 1, tzinfo=UTC), "2.5"),
        # The plain price was another one then, and nobody says what flex was.
        ("openai", "o3", "flex", datetime(2025, 5, 1, tzinfo=UTC), None),
        ("openai", "gpt-5", "batch", datetime(2026, 3, 1, tzinfo=UTC), "0.625"),
        ("openai", "gpt-5-pro", "flex", NOW, None),
        ("openai", "gpt-5", "scale", NOW, None),
        ("anthropic", "claude-opus-4-1", "batch", datetime(2026, 3, 1, tzinfo=UTC), "7.5"),
        ("anthropic", "claude-opus-4-1", "batch", datetime(2024, 10, 1, tzinfo=UTC), None),
        ("anthropic", "claude-opus-4-8", "fast", NOW, "10"),
        ("anthropic", "claude-opus-4-5", "priority", NOW, None),
        ("google", "gemini-2.5-flash", "flex", NOW, "0.15"),
        ("google", "gemini-2.5-flash", "batch", datetime(2026, 3, 1, tzinfo=UTC), "0.15"),
        ("mistral", "mistral-medium-3-5", "batch", NOW, "0.75"),
        ("groq", "llama-3.3-70b-versatile", "flex", NOW, "0.59"),
        ("deepseek", "deepseek-v4-flash", "batch", NOW, None),
    ],
)
def test_a_tier_costs_what_it_costs_or_nothing_that_is_known(
    provider: str, model: str, tier: str, at: datetime, cost: str | None
) -> None:
    quote = quoted(provider, model, tier, at, input_tokens=MILLION)
    if cost is None:
        assert [(one.item, one.tier) for one in quote.missing] == [("input", tier)]
        assert not quote.total and not quote.lines
    else:
        assert (quote.missing, quote.total, quote.tier) == ((), Decimal(cost), tier)


def test_what_a_batch_leaves_out_costs_as_ever() -> None:
    quote = quoted("openai", "gpt-4.1", "batch", NOW, input_tokens=MILLION, cached_tokens=MILLION // 2)
    assert {line.item: line.unit_price for line in quote.lines} == {
        "input": Decimal(1),
        "cached_input": Decimal("0.5"),
    }


def post(client: Client, key: str, *records: dict[str, Any]) -> None:
    said = client.post(
        "/api/v1/usage",
        json.dumps(records),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert said.json()["accepted"] == len(records)


def test_calls_that_arrive_are_priced_in_their_tier(client: Client, alice: User, ingest_key: str) -> None:
    now = just_now()

    def call(number: int, model: str, provider: str, **more: Any) -> dict[str, Any]:
        return {
            "request_id": f"tier-{number}",
            "created_at": (now - timedelta(minutes=number)).isoformat(),
            "user": alice.email,
            "model": model,
            "provider": provider,
            "input_tokens": 400_000,
            "output_tokens": 50_000,
            **more,
        }

    post(
        client,
        ingest_key,
        call(1, "gpt-5.1", "openai", parameters={"service_tier": "flex"}),
        call(2, "gpt-5.1", "openai", billing={"service_tier": "priority"}),
        call(3, "claude-sonnet-4-6", "anthropic", endpoint="/v1/messages/batches"),
        call(4, "gpt-5.1", "openai", parameters={"service_tier": "auto"}),
    )
    costs = dict(UsageRecord.objects.values_list("request_id", "cost"))
    assert costs == {
        "tier-1": Decimal("0.5"),  # 0.4 x 0.625 + 0.05 x 5
        "tier-2": Decimal("2"),  # 0.4 x 2.5 + 0.05 x 20
        "tier-3": Decimal("0.975"),  # half of 0.4 x 3 + 0.05 x 15
        "tier-4": Decimal("1"),  # 0.4 x 1.25 + 0.05 x 10
    }
    flex = UsageRecord.objects.get(request_id="tier-1").billing
    assert flex is not None and flex["service_tier"] == "flex"


def test_an_own_price_is_of_one_tier_alone(alice: User, gateway: Gateway) -> None:
    model = AIModel.objects.create(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, input=2, output=4)
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, tier="flex", input=1, output=2)
    used: dict[str, Any] = {"model": "house-1", "input_tokens": MILLION, "output_tokens": MILLION}
    for name in ("plain", "flex", "batch"):
        store(gateway, event(request_id=name, parameters={"service_tier": name}, **used))
    costs = dict(UsageRecord.objects.values_list("request_id", "cost"))
    # "plain" is no word for a tier that anybody has a price of.
    assert costs == {"plain": None, "flex": 3, "batch": None}
    store(gateway, event(request_id="none", **used))
    assert UsageRecord.objects.get(request_id="none").cost == 6
