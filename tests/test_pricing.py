"""What calls without a cost are charged: the catalogue's price, the admin's over it, times the ratio."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from django.core.management import call_command
from django.urls import reverse
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, Gateway, Group, User
from logs.models import GroupRatio, ModelPrice, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.models.prices import BEGINNING
from logs.pricing.charges import UNIT
from logs.pricing.consumed import Consumed
from logs.pricing.quotes import PriceBook, Quote, priced
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from tests.cast import NOON, event, signed_in, store
from tests.sums import check_rollups

_PAIRS = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    if provider.id in {"openai", "anthropic", "google", "mistral", "deepseek", "openrouter", "x-ai", "aws"}
    for model in provider.models
    if provider.find_model(model.id) is model
]
TOKENS = st.integers(0, 2_000_000)
RATIOS = st.decimals(0, 10, places=6)
PRICES = st.decimals(0, 1000, places=9)


def _consumed(provider: str | None, model: str, at: datetime, **counts: int) -> Consumed:
    return Consumed(at, None, model, provider, None, {key: value for key, value in counts.items() if value})


@given(pair=st.sampled_from(_PAIRS), days=st.integers(0, 2000), plain=TOKENS, cached=TOKENS, written=TOKENS,
       output=TOKENS, ratio=RATIOS)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_a_price_is_the_base_catalogues_to_the_last_digit(
    pair: tuple[str, str], days: int, plain: int, cached: int, written: int, output: int, ratio: Decimal
) -> None:
    provider, model = pair
    at = datetime(2026, 11, 1, 13, tzinfo=UTC) - timedelta(days=days)
    counts = {
        "input_tokens": plain + cached + written,
        "cache_read_tokens": cached,
        "cache_write_tokens": written,
        "output_tokens": output,
    }
    quote = _quote(_consumed(provider, model, at, **counts), None, Decimal(1))
    expected = genai_prices.calc_price(
        genai_prices.Usage(**counts), model, provider_id=provider, genai_request_timestamp=at
    )
    if quote is None:
        assert expected.total_price == 0
    else:
        assert quote.total == expected.total_price.quantize(UNIT)
        _adds_up(quote)
    scaled = _quote(_consumed(provider, model, at, **counts), None, ratio)
    if scaled is not None:
        _adds_up(scaled)


@given(prices=st.fixed_dictionaries({kind: st.none() | PRICES for kind in ("input", "cached_input", "cache_write", "output", "reasoning", "per_call", "per_image")}), ratio=RATIOS, cached=TOKENS, plain=TOKENS, output=TOKENS, reasoning=TOKENS, images=st.integers(0, 10))  # noqa: E501  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_the_lines_of_random_prices_add_up(
    prices: dict[str, Decimal | None], ratio: Decimal, cached: int, plain: int, output: int, reasoning: int,
    images: int,
) -> None:  # fmt: skip
    price = ModelPrice(pk=1, model_id=1, valid_from=BEGINNING, **prices)
    counts = {
        "input_tokens": plain + cached,
        "cache_read_tokens": cached,
        "output_tokens": output + reasoning,
        "output_reasoning_tokens": reasoning,
    }
    used = Consumed(NOON, 1, "house-model", None, None, {k: v for k, v in counts.items() if v}, images)
    quote = _quote(used, price, ratio)
    if quote is not None:
        _adds_up(quote)


def _adds_up(quote: Quote) -> None:
    assert sum((line.amount for line in quote.lines), quote.rounding) == quote.total
    assert abs(quote.rounding) <= UNIT * len(quote.lines)
    for line in quote.lines:
        assert line.quantity is not None
        assert line.unit_price is not None
        exact = line.quantity * line.unit_price * quote.ratio / line.per
        assert abs(exact - line.amount) <= UNIT / 2 + Decimal("1e-18")


# --- At ingest


def stored(gateway: Gateway, **fields: Any) -> UsageRecord:
    sent: UsageEvent = event(**fields)
    store(gateway, sent)
    return UsageRecord.objects.get(request_id=sent.request_id)


def own_price(model: str = "house-1", **fields: Any) -> ModelPrice:
    named, _ = AIModel.objects.get_or_create(name=model)
    return ModelPrice.objects.create(
        **{"model": named, "valid_from": BEGINNING, "input": 1, "output": 2, **fields}
    )


def test_a_call_without_a_cost_is_priced_by_the_catalogue(alice: User, gateway: Gateway) -> None:
    record = stored(
        gateway, model="gpt-4o", provider="openai", input_tokens=1000, cached_tokens=400, output_tokens=10
    )
    assert record.cost == (600 * Decimal("2.5") + 400 * Decimal("1.25") + 10 * 10) / 1_000_000
    assert record.billing is not None
    assert record.billing["source"] == "catalogue"
    assert record.billing["price_version"].startswith("genai-prices ")
    check_rollups()


def test_what_the_gateway_charged_is_never_touched(alice: User, gateway: Gateway) -> None:
    record = stored(gateway, model="gpt-4o", cost=Decimal("0.123"), billing={"x": 1})
    assert (record.cost, record.billing) == (Decimal("0.123"), {"x": 1})


def test_an_unknown_model_is_unpriced_and_counted_not_zero(alice: User, gateway: Gateway) -> None:
    assert stored(gateway, model="house-1").cost is None
    assert own_sums.totals(alice, Selection()).unpriced == 1
    check_rollups()


def test_a_usage_that_is_not_known_has_no_price(alice: User, gateway: Gateway) -> None:
    assert stored(gateway, model="gpt-4o", input_tokens=0, output_tokens=0).cost is None


def test_a_failure_that_used_nothing_costs_nothing(alice: User, gateway: Gateway) -> None:
    own_price(input=None, output=None, per_call=1)
    failed = {"status": Status.ERROR, "http_status": 429, "input_tokens": 0, "output_tokens": 0}
    assert stored(gateway, model="house-1", **failed).cost == 0
    assert stored(gateway, model="nobody-knows", **failed).cost == 0


def test_refunds_are_never_priced(alice: User, gateway: Gateway) -> None:
    assert stored(gateway, model="gpt-4o", type=RecordType.REFUND).cost is None


def test_an_own_price_lies_over_the_base_kind_by_kind(alice: User, gateway: Gateway) -> None:
    own_price("gpt-4o", input=5, output=None)
    record = stored(gateway, model="gpt-4o", input_tokens=1000, cached_tokens=400, output_tokens=10)
    assert record.cost == (600 * 5 + 400 * Decimal("1.25") + 10 * 10) / Decimal(1_000_000)
    assert record.billing is not None and record.billing["source"] == "own"


def test_a_price_by_the_call_replaces_the_base(alice: User, gateway: Gateway) -> None:
    own_price("gpt-4o", input=None, output=None, per_call=Decimal("0.04"))
    assert stored(gateway, model="gpt-4o").cost == Decimal("0.04")


def test_the_version_and_ratio_of_the_calls_own_time_hold(alice: User, gateway: Gateway) -> None:
    own_price(input=1)
    own_price(input=10, valid_from=NOON)
    group = Group.objects.create(name="vip", ratio=1)
    GroupRatio.objects.create(group=group, ratio=Decimal("0.5"), valid_from=NOON)
    before = stored(gateway, model="house-1", group="vip", input_tokens=10**6, output_tokens=0, minutes=-1)
    after = stored(gateway, model="house-1", group="vip", input_tokens=10**6, output_tokens=0, minutes=1)
    assert (before.cost, after.cost) == (Decimal(1), Decimal(5))


def test_a_change_today_leaves_yesterdays_charge_and_facts(alice: User, gateway: Gateway) -> None:
    own_price()
    old = stored(gateway, model="house-1", group="vip")
    own_price(input=100, output=100, valid_from=NOON - timedelta(days=9))
    group = Group.objects.get(name="vip")
    group.ratio = Decimal(3)
    group.save()
    call_command("price_unpriced")
    again = UsageRecord.objects.get(pk=old.pk)
    assert (again.cost, again.billing) == (old.cost, old.billing)
    check_rollups()


def test_a_groups_ratio_has_a_history(db: None) -> None:
    group = Group.objects.create(name="vip", ratio=Decimal("0.8"))
    group.description = "Unchanged ratio"
    group.save()
    group.ratio = Decimal("0.9")
    group.save()
    assert [version.ratio for version in GroupRatio.objects.filter(group=group)] == [
        Decimal("0.9"),
        Decimal("0.8"),
    ]
    book = PriceBook([], [group.pk])
    assert book.ratio(group.pk, NOON) == Decimal("0.8")
    assert book.ratio(None, NOON) == 1


def test_an_unpriced_model_becomes_priced_and_the_header_follows(
    alice: User, gateway: Gateway, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stored(gateway, model="house-1", input_tokens=1000, output_tokens=500)
    stored(gateway, model="house-2")
    queued: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        "logs.maintenance.jobs.price_unpriced.apply_async", lambda args, **options: queued.append(args)
    )

    with django_capture_on_commit_callbacks(execute=True):
        price = own_price()
    assert queued == [(price.model_id,)]
    from logs.maintenance.jobs import price_unpriced

    assert price_unpriced(price.model_id) == 1

    totals = own_sums.totals(alice, Selection())
    assert (totals.unpriced, totals.cost) == (1, Decimal("0.002"))
    check_rollups()
    record.refresh_from_db()
    assert record.billing is not None and record.billing["price_version"] == price.version
    assert price_unpriced() == 0


def test_a_price_that_is_valid_later_prices_no_earlier_call(alice: User, gateway: Gateway) -> None:
    stored(gateway, model="house-1")
    own_price(valid_from=NOON + timedelta(hours=1))
    call_command("price_unpriced")
    assert UsageRecord.objects.get().cost is None


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ({}, "Give at least one price"),
        ({"cached_input": "1"}, "do not fit together"),
        ({"input": "1", "cached_input": "1"}, None),
    ],
)
def test_a_version_without_a_price_or_with_prices_that_do_not_fit_is_refused(
    admin: User, prices: dict[str, str], said: str | None
) -> None:
    model = AIModel.objects.create(name="house-1")
    form = {"model": model.pk, "valid_from_0": "2026-03-10", "valid_from_1": "12:00", **prices}
    answer = signed_in(admin).post(reverse("admin:logs_modelprice_add"), form)
    assert ModelPrice.objects.count() == (0 if said else 1)
    assert said is None or said in answer.content.decode()
