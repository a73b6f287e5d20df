"""A kind without a price: the call stays unpriced, names it, and is completed by a later price."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.access import personal_tokens
from accounts.models import AIModel, Gateway, User
from logs.maintenance.late_prices import price_unpriced
from logs.models import ModelPrice, Status, UsageRecord
from logs.models.events import COUNTS_READ
from logs.models.prices import BEGINNING
from logs.pricing.consumed import Consumed
from logs.pricing.quotes import PriceBook, Quote, priced
from logs.pricing.unpriced import Unpriced, Why
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope
from tests.cast import NOON, event, signed_in, store
from tests.export_cast import folder, made
from tests.sums import check_rollups
from tests.test_details import details

__all__ = ["folder"]


def stored(gateway: Gateway, **fields: Any) -> UsageRecord:
    sent = event(**fields)
    store(gateway, sent)
    return UsageRecord.objects.get(request_id=sent.request_id)


def kinds(record: UsageRecord) -> list[str]:
    return [one["item"] for one in (record.billing or {}).get("unpriced", [])]


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        # Audio with a price of text alone
        ({"model": "gpt-4o", "audio_input_tokens": 40}, ["audio_input"]),
        ({"model": "gpt-4o", "audio_output_tokens": 5}, ["audio_output"]),
        ({"model": "gpt-audio", "audio_input_tokens": 40, "cached_tokens": 10,
          "quantities": {"cached_audio_tokens": 10}}, ["cached_audio"]),
        # Written for an hour, where only 5 minutes have a price
        ({"model": "amazon.nova-lite-v1:0", "cache_write_tokens": 30,
          "quantities": {"cache_write_1h_tokens": 30}}, ["cache_write_1h"]),
        ({"model": "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "cache_write_tokens": 30,
          "quantities": {"cache_write_1h_tokens": 20}}, ["cache_write_1h"]),
        # Cached, where nobody says what that costs
        ({"model": "gpt-5-pro", "cached_tokens": 30}, ["cached_input"]),
        # A tier without a price
        ({"model": "gpt-5-pro", "parameters": {"service_tier": "flex"}}, ["input", "output"]),
        # Seconds, images, characters, pages of a model that is not sold by them
        ({"model": "gpt-4o", "quantities": {"video_seconds": 8}}, ["video_seconds"]),
        ({"model": "gpt-4o", "quantities": {"audio_seconds": 8}}, ["audio_seconds"]),
        ({"model": "gpt-4o", "image_count": 1}, ["per_image"]),
        ({"model": "gpt-4o", "quantities": {"characters": 8, "pages": 2}}, ["characters", "pages"]),
        # Tools
        ({"model": "deepseek-v4-pro", "quantities": {"web_search_count": 2}}, ["web_search"]),
        ({"model": "claude-opus-4-5", "quantities": {"code_session_count": 1}}, ["code_session"]),
        # Images in the output, and not how much of it they were
        ({"model": "gemini-2.5-flash-image", "image_count": 1}, ["image_output"]),
        # What its price depends on is not told
        ({"model": "sora-2-pro", "input_tokens": 0, "output_tokens": 0, "quantities": {"video_seconds": 8}},
         ["video_seconds"]),
    ],
    ids=lambda value: str(value.get("model")) if isinstance(value, dict) else "-".join(value),
)  # fmt: skip
def test_a_kind_without_a_price_leaves_the_call_unpriced_and_is_named(
    alice: User, gateway: Gateway, fields: dict[str, Any], missing: list[str]
) -> None:
    record = stored(gateway, **fields)
    assert record.cost is None
    assert kinds(record) == missing
    assert own_sums.totals(Scope.own(alice), Selection()).unpriced == 1
    check_rollups()


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-5", "reasoning_tokens": 10},  # Reasoning is output.
        {"model": "gpt-4o", "quantities": {"image_input_tokens": 40}},  # "metered as tokens"
        {"model": "gemini-2.5-pro", "audio_input_tokens": 40},  # one price for all
        {"model": "gpt-5", "quantities": {"tool_call_count": 3}},  # functions of one's own
        {"model": "gpt-image-2", "image_count": 1},  # by the token
        {"model": "gpt-4o-transcribe", "audio_input_tokens": 90, "quantities": {"audio_seconds": 9.5}},
        {"model": "sonar", "quantities": {"web_search_count": 3}},  # the request's fee
        {"model": "tts-1", "quantities": {"characters": 40}},  # by the character, its tokens for nothing
        {"model": "gpt-4.1", "cache_write_tokens": 40},  # not charged apart
    ],
    ids=lambda fields: fields["model"],
)
def test_what_a_provider_bills_as_something_else_is_not_missing(
    alice: User, gateway: Gateway, fields: dict[str, Any]
) -> None:
    record = stored(gateway, **fields)
    assert record.cost is not None and record.cost > 0


def test_counts_that_contradict_each_other_are_never_priced(alice_client: Client, gateway: Gateway) -> None:
    marked = stored(
        gateway, model="gpt-4o", metadata={COUNTS_READ: {"contradiction": True, "sent": {"input": 5}}}
    )
    odd = stored(gateway, model="gpt-4o", input_tokens=10, cached_tokens=8, audio_input_tokens=8)
    ModelPrice.objects.create(
        model=AIModel.objects.get(name="gpt-4o"), valid_from=BEGINNING, input=1, output=1, audio_input=1
    )
    price_unpriced()
    for record in (marked, odd):
        record.refresh_from_db()
        assert (record.cost, record.billing) == (None, None)
        assert "counts contradict each other" in details(alice_client, record)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "gpt-oss-120b"}, "sold at different prices by"),
        (
            {"model": "gpt-oss-120b", "provider": "anthropic"},
            "No price is known for “gpt-oss-120b” at Anthropic",
        ),
        ({"model": ""}, "named neither a cost nor a model"),
        ({"model": "gpt-5", "input_tokens": 0, "output_tokens": 0}, "did not say what was used"),
    ],
)
def test_a_call_without_a_price_says_why(
    alice_client: Client, gateway: Gateway, fields: dict[str, Any], said: str
) -> None:
    record = stored(gateway, **fields)
    assert record.cost is None
    assert said in details(alice_client, record)


# --- Wherever it is shown


@pytest.fixture
def heard(gateway: Gateway) -> UsageRecord:
    """A call with 60 tokens of text, which have a price, and 40 of audio, which have none; two searches."""
    return stored(
        gateway,
        model="gpt-4o",
        provider="openai",
        input_tokens=100,
        output_tokens=0,
        audio_input_tokens=40,
        quantities={"web_search_count": 2},
    )


AT_LEAST = 60 * Decimal("2.5") / 10**6 + 2 * Decimal("0.01")


def test_what_has_a_price_is_kept_beside_what_has_none(alice: User, heard: UsageRecord) -> None:
    assert heard.billing is not None
    assert heard.billing["unpriced"] == [{"item": "audio_input", "quantity": "40"}]
    assert {line["item"] for line in heard.billing["lines"]} == {"input", "web_search"}
    assert own_sums.totals(Scope.own(alice), Selection()).cost == 0


def test_the_page_says_what_has_no_price(alice_client: Client, heard: UsageRecord) -> None:
    page = details(alice_client, heard)
    assert 'data-unpriced="audio_input"' in page
    assert "Audio input (40): no price is known" in page
    assert f'data-at-least="{AT_LEAST.normalize():f}"' in page
    assert "unpriced: Audio input" in page  # the note for support


def test_the_list_says_what_has_no_price(alice_client: Client, heard: UsageRecord) -> None:
    page = alice_client.get(reverse("usage"), {"range": "all"}).content.decode()
    assert "partly unpriced" in page
    assert "No price is known for: Audio input." in page


def test_the_read_api_says_what_has_no_price(alice: User, heard: UsageRecord) -> None:
    client = Client(headers={"Authorization": f"Bearer {personal_tokens.issue(alice, 'test', 30)[1]}"})
    [listed] = client.get("/api/v1/usage?range=all").json()["data"]
    assert (listed["cost"], listed["unpriced"], listed["is_estimate"]) == (None, ["audio_input"], False)
    receipt = client.get(f"/api/v1/usage/{heard.id}").json()["receipt"]
    assert receipt["unpriced"] == ["Audio input (40): no price is known"]
    assert (receipt["total"], receipt["lines"]) == (None, [])
    assert receipt["catalogue_total"] == f"{AT_LEAST.normalize():f}"


def test_an_export_says_what_has_no_price(alice: User, heard: UsageRecord) -> None:
    for form in ("csv", "jsonl"):
        text = made(alice, form, columns=["request_id", "cost", "unpriced"]).path.read_text()
        assert "audio_input" in text.splitlines()[-1]
    with_receipts = made(alice, "jsonl", columns=["request_id", "unpriced", "receipt"])
    assert json.loads(with_receipts.path.read_text())["unpriced"] == "audio_input"


def test_the_admin_says_what_has_no_price(admin: User, heard: UsageRecord) -> None:
    page = signed_in(admin).get(reverse("admin:logs_usagerecord_change", args=[heard.pk])).content.decode()
    assert 'data-unpriced="audio_input">Audio input (40): no price is known' in page


# --- A later price


def test_a_later_price_completes_it(alice: User, heard: UsageRecord, alice_client: Client) -> None:
    price = ModelPrice.objects.create(
        model=AIModel.objects.get(name="gpt-4o"), valid_from=BEGINNING, audio_input=40
    )
    assert price_unpriced(price.model_id) == 1
    heard.refresh_from_db()
    assert heard.cost == AT_LEAST + 40 * Decimal(40) / 10**6
    assert kinds(heard) == []
    totals = own_sums.totals(Scope.own(alice), Selection())
    assert (totals.unpriced, totals.cost) == (0, heard.cost)
    check_rollups()
    assert price_unpriced() == 0


def test_a_later_price_of_another_part_is_told_and_waits_on(gateway: Gateway, alice: User) -> None:
    sent = {"audio_tier": "hd"}
    record = stored(
        gateway, model="house-1", audio_input_tokens=40, quantities={"pages": 2}, billing={"sent_by": sent}
    )
    assert record.billing == {"sent_by": sent}
    model = AIModel.objects.get(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, input=1, output=1)
    assert price_unpriced() == 0
    record.refresh_from_db()
    assert (record.cost, kinds(record)) == (None, ["audio_input", "pages"])
    ModelPrice.objects.create(model=model, valid_from=NOON, input=1, output=1, per_page=Decimal("0.5"))
    assert price_unpriced() == 0
    record.refresh_from_db()
    assert (record.cost, kinds(record)) == (None, ["audio_input"])
    assert record.billing["sent"] == {"sent_by": sent}
    check_rollups()


# --- Prices of an admin's own


@pytest.mark.parametrize(
    ("prices", "used", "cost"),
    [
        ({"per_video_second": "0.15"}, {"video_seconds": 8}, "1.2"),
        ({"per_video_second": "0.15"}, {"video_seconds": 7.5}, "1.125"),
        ({"per_audio_minute": "0.006"}, {"audio_seconds": 90}, "0.009"),
        ({"per_audio_minute": "0.006"}, {"audio_seconds": 12.345}, "0.0012345"),
        ({"per_page": "0.002"}, {"pages": 3}, "0.006"),
        ({"per_million_characters": "15"}, {"characters": 1234}, "0.01851"),
        ({"per_call": "0.04"}, {"video_seconds": 8, "per": 1}, None),
        ({"per_call": "0.04"}, {}, "0.04"),
        ({"per_web_search": "0.01", "input": "1", "output": "2"}, {"web_search_count": 3}, "0.03014"),
        ({"per_file_search": "0.0025", "input": "1", "output": "2"}, {"file_search_count": 2}, "0.00514"),
        ({"per_code_session": "0.03", "input": "1", "output": "2"}, {"code_session_count": 1}, "0.03014"),
        ({"per_tool_call": "0.001", "input": "1", "output": "2"}, {"tool_call_count": 4}, "0.00414"),
    ],
)
def test_an_admin_can_enter_a_price_of_each_unit(
    admin: User, alice: User, gateway: Gateway, prices: dict[str, str], used: dict[str, Any], cost: str | None
) -> None:
    model = AIModel.objects.create(name="house-1")
    form = {"model": model.pk, "valid_from_0": "2026-01-01", "valid_from_1": "00:00", **prices}
    assert signed_in(admin).post(reverse("admin:logs_modelprice_add"), form).status_code == 302
    record = stored(gateway, model="house-1", quantities=used or None)
    assert record.cost == (None if cost is None else Decimal(cost))
    if cost:
        assert record.billing is not None and record.billing["source"] == "own"


def test_a_failed_call_is_charged_for_no_result(alice: User, gateway: Gateway) -> None:
    model = AIModel.objects.create(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, per_video_second=1)
    record = stored(gateway, model="house-1", status=Status.ERROR, quantities={"video_seconds": 8})
    assert record.cost == 0


def test_odd_quantities_are_no_counts() -> None:
    for odd in (-5, "7", None, True, [3], {"a": 1}):
        record = UsageRecord(
            created_at=NOON, input_tokens=1, output_tokens=1, quantities={"video_seconds": odd}
        )
        used = Consumed.of(record, model_id=None, model="gpt-4o", group_id=None, at=NOON)
        assert "video_seconds" not in used.counts


def test_a_book_tells_why_there_is_no_price(db: None) -> None:
    used = Consumed(NOON, None, "nobody-knows", None, None, {"input_tokens": 1})
    found = PriceBook([], []).quote(used)
    assert isinstance(found, Unpriced) and found.why is Why.UNKNOWN
    whole = priced(Consumed(NOON, None, "gpt-4o", None, None, {"input_tokens": 1}), None, Decimal(1))
    assert isinstance(whole, Quote) and whole.is_whole
