"""Who sells a model: told by its provider, by its name, or the only one; never guessed between several."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from accounts.models import Gateway, User
from logs.models import UsageRecord
from logs.pricing import base, overlay, sellers
from logs.pricing.sellers import How, NotFound, Sold, WhyNot
from tests.cast import event, store

NAMED, MAKER, ONLY = How.NAMED, How.MAKER, How.ONLY


@pytest.mark.parametrize(
    ("model", "provider", "seller", "how"),
    [
        # The provider is named, in whichever way.
        ("claude-sonnet-4-5", "anthropic", "anthropic", NAMED),
        ("gpt-4o", "azure.ai.openai", "azure", NAMED),
        ("gemini-2.5-flash", "gcp.gemini", "google", NAMED),
        ("claude-sonnet-4-5@20250929", "vertex_ai", "google", NAMED),
        ("anthropic.claude-3-haiku-20240307-v1:0", "aws.bedrock", "aws", NAMED),
        ("mistral-large-latest", "mistral_ai", "mistral", NAMED),
        ("grok-4", "xai", "x-ai", NAMED),
        ("kimi-k2.5", "moonshot", "moonshotai", NAMED),
        ("anthropic/claude-sonnet-4", "openrouter", "openrouter", NAMED),
        ("qwen3.7-plus", "qwen", "dashscope", NAMED),
        ("MiniMax-Hailuo-02", "hailuo", "minimax", NAMED),
        # The model's name tells it.
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", None, "aws", NAMED),
        ("eu.anthropic.claude-3-7-sonnet-20250219-v1:0", None, "aws", NAMED),
        ("apac.anthropic.claude-sonnet-4-20250514-v1:0", None, "aws", NAMED),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", None, "aws", NAMED),
        ("us.meta.llama3-3-70b-instruct-v1:0", None, "aws", NAMED),
        ("amazon.nova-lite-v1:0", None, "aws", NAMED),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
         None, "aws", NAMED),
        ("bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0", None, "aws", NAMED),
        ("bedrock/us-east-1/anthropic.claude-3-haiku-20240307-v1:0", None, "aws", NAMED),
        ("openrouter/anthropic/claude-sonnet-4", None, "openrouter", NAMED),
        ("accounts/fireworks/models/deepseek-v3p2", None, "fireworks", NAMED),
        ("fireworks_ai/accounts/fireworks/models/glm-4p7", None, "fireworks", NAMED),
        ("models/gemini-2.5-flash", None, "google", NAMED),
        ("publishers/google/models/gemini-2.5-pro", None, "google", NAMED),
        ("azure/gpt-4o", None, "azure", NAMED),
        # A client of one protocol says "openai" of whoever speaks it.
        ("deepseek-v4-pro", "openai", "deepseek", ONLY),
        ("openrouter/anthropic/claude-sonnet-4", "openai", "openrouter", NAMED),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic", "aws", NAMED),
        # Nobody names one: the only one there is, or who makes it.
        ("glm-4.6", None, "zai", ONLY),
        ("sonar-pro", None, "perplexity", ONLY),
        ("llama-3.3-70b-versatile", None, "groq", ONLY),
        ("gen4_turbo", None, "runway", ONLY),
        ("claude-sonnet-4-5", None, "anthropic", MAKER),
        ("anthropic/claude-sonnet-4-5", None, "anthropic", MAKER),
        ("x-ai/grok-4", None, "x-ai", MAKER),
        ("gpt-5", "a-relay-of-ours", "openai", ONLY),
        # Dated, and newest.
        ("gpt-5-2025-08-07", None, "openai", ONLY),
        ("gpt-5-20250807", None, "openai", ONLY),
        ("claude-opus-4-1-20250805", None, "anthropic", MAKER),
        ("gpt-4o-mini-tts-2025-12-15", "openai", "openai", NAMED),
        ("mistral-medium-latest", None, "mistral", ONLY),
        ("sora-2-2025-10-06", None, "openai", ONLY),
    ],
)  # fmt: skip
def test_who_sells_a_model_is_found(model: str, provider: str | None, seller: str, how: How) -> None:
    found = sellers.find(model, provider)
    assert isinstance(found, Sold), found
    assert (found.provider, found.how) == (seller, how)
    assert sellers.find(model.upper(), provider) == found


@pytest.mark.parametrize(
    ("model", "provider", "why"),
    [
        ("gpt-oss-120b", None, WhyNot.SEVERAL),
        ("glm-4.7", None, WhyNot.SEVERAL),  # Its maker sells it twice, at two prices.
        ("gpt-oss-120b", "openai", WhyNot.SEVERAL),
        ("my-deployment", "azure", WhyNot.NOT_THERE),
        ("gpt-5", "anthropic", WhyNot.NOT_THERE),
        ("bedrock/gpt-99", None, WhyNot.NOT_THERE),
        ("us.anthropic.claude-99-v1:0", None, WhyNot.NOT_THERE),
        ("house-1", None, WhyNot.UNKNOWN),
        ("", None, WhyNot.UNKNOWN),
        ("/", None, WhyNot.UNKNOWN),
        ("gpt-", None, WhyNot.UNKNOWN),
    ],
)
def test_who_sells_a_model_is_not_guessed(model: str, provider: str | None, why: WhyNot) -> None:
    found = sellers.find(model, provider)
    assert isinstance(found, NotFound), found
    assert found.why is why


def test_what_could_be_a_name_is_asked_for_as_what_is_one() -> None:
    """The short cut that knows what nobody sells says so of nothing that anybody does."""
    for file in overlay.providers().values():
        for price in file.price:
            for pattern in price.models:
                assert overlay.words().may_be(pattern.replace("*", "x"))
    sold = ("claude-sonnet-4-5", "gpt-5-2025-08-07", "glm-4.6", "llama-3.3-70b-versatile", "voyage-3.5")
    assert all(base.words().may_be(name) for name in sold)
    assert not base.words().may_be("house-1")


def test_a_model_that_only_a_file_of_ours_knows_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme.toml").write_text(
        'id = "acme"\nname = "Acme"\nnames = ["acme_ai"]\nmakes = ["zed*"]\n[[price]]\nmodels = ["zed-1"]\n'
        'usd.input = "2"\nusd.output = "4"\nsource = "https://example.com"\nread = 2026-01-01\n'
    )
    loaded = overlay.load(tmp_path)
    assert loaded["acme"].makes == ("zed*",)
    assert overlay.of_model(loaded["acme"].price, ("zed-1",))


@pytest.mark.parametrize(
    ("model", "provider", "cost"),
    [
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", None, Decimal(18)),
        ("glm-4.6", None, Decimal("2.8")),
        ("gpt-oss-120b", None, None),
    ],
)
def test_a_call_is_priced_at_whoever_sells_the_model(
    alice: User, gateway: Gateway, model: str, provider: str | None, cost: Decimal | None
) -> None:
    store(gateway, event(model=model, provider=provider, input_tokens=10**6, output_tokens=10**6))
    assert UsageRecord.objects.get().cost == cost
