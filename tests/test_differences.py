"""Why a charge is not the catalogue's price: each cause, with its amount."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from logs.models import Status
from logs.pricing.quotes import PriceBook
from logs.pricing.receipts import receipt
from tests.cast import NOON
from tests.test_receipts import Book, check, price, record, sent

# --- Each cause


def causes(billing: dict[str, Any] | None, cost: str, book: PriceBook | None = None) -> dict[str, Decimal]:
    made = receipt(record(cost=Decimal(cost), billing=billing), book or Book(price(cached_input=Decimal(1))))
    check(made)
    return {difference.cause: difference.amount for difference in made.differences}


# The catalogue: 600 x 2 + 400 x 1 + 100 x 10 = 2,600 per 1M = $0.0026.


def test_equal_charges_need_no_explanation() -> None:
    assert (
        causes(sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (100, "10")}), "0.0026") == {}
    )


def test_another_input_length() -> None:
    billing = sent({"input": (1600, "2"), "cached_input": (400, "1"), "output": (100, "10")})
    assert causes(billing, "0.0046") == {"input": Decimal("0.002")}


def test_another_output_length() -> None:
    billing = sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (200, "10")})
    assert causes(billing, "0.0036") == {"output": Decimal("0.001")}


def test_another_cache_share() -> None:
    assert causes(sent({"input": (1000, "2"), "output": (100, "10")}), "0.003") == {
        "cache": Decimal("0.0004")
    }


def test_another_group_ratio() -> None:
    billing = sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (100, "10")}, ratio="0.5")
    assert causes(billing, "0.0013") == {"ratio": Decimal("-0.0013")}


def test_another_price_version() -> None:
    billing = sent(
        {"input": (600, "3"), "cached_input": (400, "1"), "output": (100, "10")}, price_version="May"
    )
    assert causes(billing, "0.0032") == {"version": Decimal("0.0006")}


def test_another_model() -> None:
    billing = sent({"input": (600, "3"), "cached_input": (400, "1"), "output": (100, "10")}, model="house-2")
    assert causes(billing, "0.0032") == {"model": Decimal("0.0006")}


def test_discount_margin_and_what_nobody_explains_are_amounts_of_their_own() -> None:
    billing = sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (100, "10")})
    billing["lines"] += [{"item": "discount", "amount": "-0.0006"}, {"item": "margin", "amount": "0.0001"}]
    assert causes(billing, "0.0121") == {
        "discount": Decimal("-0.0006"),
        "margin": Decimal("0.0001"),
        "other": Decimal("0.01"),
    }


def test_several_causes_each_tell_their_amount() -> None:
    found = causes(sent({"input": (1000, "3"), "output": (200, "10")}, ratio="2"), "0.01")
    assert found == {
        "cache": Decimal("0.0004"),
        "output": Decimal("0.001"),
        "version": Decimal("0.001"),
        "ratio": Decimal("0.005"),
    }


def test_a_charge_without_lines_is_explained_where_one_change_makes_it() -> None:
    assert causes(None, "0.003") == {"cache": Decimal("0.0004")}
    assert causes(None, "0.0026", Book(price(cached_input=Decimal(1)), ratio=Decimal("0.5"))) == {
        "ratio": Decimal("0.0013")
    }
    newer = price(input=Decimal(4), cached_input=Decimal(2), output=Decimal(20))
    newer.valid_from = NOON + timedelta(days=1)
    assert causes(None, "0.0052", Book(newer, price(cached_input=Decimal(1)))) == {
        "version": Decimal("0.0026")
    }
    assert causes(None, "0.0333333") == {"untold": Decimal("0.0307333")}


# --- What only kinds, tiers and units of their own explain


AUDIO = {"audio_input": Decimal(40), "cached_input": Decimal(1), "cache_write": Decimal("2.5"),
         "cache_write_1h": Decimal(4), "image_input": Decimal(3), "audio_output": Decimal(80)}  # fmt: skip


def told(billing: dict[str, Any] | None, cost: str, book: PriceBook, **fields: Any) -> dict[str, Decimal]:
    made = receipt(record(cost=Decimal(cost), billing=billing, **fields), book)
    check(made)
    found: dict[str, Decimal] = {}
    for difference in made.differences:
        found[difference.cause] = found.get(difference.cause, Decimal(0)) + difference.amount
    return found


def test_audio_that_was_charged_as_text() -> None:
    usage = {"cached_tokens": 0, "audio_input_tokens": 900, "audio_output_tokens": 80}
    # The catalogue: 100 x 2 + 900 x 40 + 20 x 10 + 80 x 80 = 42,800 per 1M; as text 1,000 x 2 + 100 x 10.
    billing = sent({"input": (1000, "2"), "output": (100, "10")})
    assert told(billing, "0.003", Book(price(**AUDIO)), **usage) == {"audio": Decimal("-0.0398")}
    assert told(None, "0.003", Book(price(**AUDIO)), **usage) == {"audio": Decimal("-0.0398")}


def test_hours_of_cache_that_were_charged_as_five_minutes() -> None:
    usage = {"cached_tokens": 0, "cache_write_tokens": 800, "quantities": {"cache_write_1h_tokens": 500}}
    # 200 x 2 + 300 x 2.5 + 500 x 4 + 100 x 10 = 4,150 per 1M; all of it for five minutes 3,400.
    billing = sent({"input": (200, "2"), "cache_write": (800, "2.5"), "output": (100, "10")})
    assert told(billing, "0.0034", Book(price(**AUDIO)), **usage) == {"cache_tier": Decimal("-0.00075")}
    assert told(None, "0.0034", Book(price(**AUDIO)), **usage) == {"cache_tier": Decimal("-0.00075")}
    assert told(None, "0.003", Book(price(**AUDIO)), **usage) == {"cache_write": Decimal("-0.00115")}


def test_images_that_were_charged_as_text() -> None:
    usage = {"cached_tokens": 0, "quantities": {"image_input_tokens": 300}}
    billing = sent({"input": (1000, "2"), "output": (100, "10")})
    assert told(billing, "0.003", Book(price(**AUDIO)), **usage) == {"image": Decimal("-0.0003")}


def test_a_tier_that_was_not_charged() -> None:
    plain, flex = price(cached_input=Decimal(1)), price(
        tier="flex", input=Decimal(1), cached_input=Decimal("0.5"), output=Decimal(5))  # fmt: skip
    usage = {"parameters": {"service_tier": "flex"}}
    # Of flex 600 x 1 + 400 x 0.5 + 100 x 5 = 1,300 per 1M; charged as the plain one, 2,600.
    billing = sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (100, "10")})
    assert told(billing, "0.0026", Book(plain, flex), **usage) == {"tier": Decimal("0.0013")}
    assert told(None, "0.0026", Book(plain, flex), **usage) == {"tier": Decimal("0.0013")}
    words = receipt(record(cost=Decimal("0.0026"), billing=None, **usage), Book(plain, flex)).differences[0]
    assert "“standard”" in words.sentence and "“flex”" in words.sentence


def test_a_unit_that_was_taken_for_another() -> None:
    film = price(input=None, output=None, per_video_second=Decimal("0.1"))
    usage = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "quantities": {"video_seconds": 8}}
    assert told(None, "48", Book(film), **usage) == {"unit": Decimal("47.2")}
    line = {"item": "video_seconds", "quantity": 8, "unit_price": "6", "per": 1, "amount": "48"}
    assert told({"lines": [line]}, "48", Book(film), **usage) == {"unit": Decimal("47.2")}
    line = {"item": "video_seconds", "quantity": 10, "unit_price": "0.1", "per": 1, "amount": "1"}
    assert told({"lines": [line]}, "1", Book(film), **usage) == {"items": Decimal("0.2")}


def test_what_the_catalogue_cannot_price_is_no_other_version() -> None:
    usage = {"cached_tokens": 0, "audio_input_tokens": 900}
    billing = sent({"input": (100, "2"), "audio_input": (900, "40"), "output": (100, "10")})
    assert told(billing, "0.0372", Book(price()), **usage) == {"unpriced": Decimal("0.036")}


def test_a_refused_call_that_cost_nothing_is_no_ratio_of_nought() -> None:
    refused = receipt(record(status=Status.ERROR, cost=Decimal(0), billing=None), Book(price()))
    check(refused)
    assert refused.is_not_charged
    assert [(one.cause, one.sentence) for one in refused.differences] == [
        ("not_charged", "Not charged because the call was refused")
    ]
    free = receipt(record(cost=Decimal(0), billing=None), Book(price(cached_input=Decimal(1))))
    assert not free.is_not_charged
    assert [one.cause for one in free.differences] == ["free"]
    given = sent({"input": (600, "2"), "cached_input": (400, "1"), "output": (100, "10")}, ratio="0")
    assert causes(given, "0") == {"ratio": Decimal("-0.0026")}


def test_what_litellm_sends_is_itemised() -> None:
    lines = [
        {"kind": "input", "amount": "0.0012", "tokens": 600},
        {"kind": "cached_input", "amount": "0.0004", "tokens": 400},
        {"kind": "output", "amount": "0.001", "tokens": 100},
        {"kind": "discount", "amount": "-0.0001"},
    ]
    assert causes({"source": "litellm", "lines": lines}, "0.0025") == {"discount": Decimal("-0.0001")}


def test_what_new_api_sends_is_itemised() -> None:
    billing = {"model_ratio": 1, "completion_ratio": 5, "cache_ratio": 0.5, "group_ratio": 1.5}
    assert causes(billing, "0.0039") == {"ratio": Decimal("0.0013")}
