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
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, Gateway, Group, User
from logs.models import GroupRatio, ModelPrice, RecordType, Status, UsageRecord
from logs.models.events import UsageEvent
from logs.models.prices import BEGINNING, PIECE_KINDS, TOKEN_KINDS, TOOL_KINDS
from logs.pricing import base
from logs.pricing.charges import UNIT, exactly
from logs.pricing.consumed import Consumed
from logs.pricing.kinds import COLUMNS, INPUT_ITEMS, OUTPUT_ITEMS, PIECES, tokens_by_kind
from logs.pricing.quotes import PriceBook, Quote, priced
from logs.pricing.sellers import How
from logs.pricing.unpriced import Unpriced, Why
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope
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


_BASE_NAMES = {
    "input_tokens": "input_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_tokens": "output_tokens",
}


def _consumed(provider: str | None, model: str, at: datetime, **counts: int) -> Consumed:
    return Consumed(at, None, model, provider, None, {key: value for key, value in counts.items() if value})


@given(pair=st.sampled_from(_PAIRS), days=st.integers(0, 2000), plain=TOKENS, cached=TOKENS, written=TOKENS,
       lasting=TOKENS, output=TOKENS, ratio=RATIOS)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_a_price_is_the_base_catalogues_to_the_last_digit(
    pair: tuple[str, str], days: int, plain: int, cached: int, written: int, lasting: int, output: int,
    ratio: Decimal,
) -> None:  # fmt: skip
    provider, model = pair
    at = datetime(2026, 11, 1, 13, tzinfo=UTC) - timedelta(days=days)
    known = base.model_at(provider, model)
    assert known is not None
    # Of kinds that have no price, we say so, and the base takes another one's.
    rates = base.rates(known, at)[0]
    cached, written, lasting, output = (
        count if kind in rates else 0
        for kind, count in (
            ("cached_input", cached),
            ("cache_write", written),
            ("cache_write_1h", lasting),
            ("output", output),
        )
    )
    counts = {
        "input_tokens": plain + cached + written + lasting,
        "cached_tokens": cached,
        "cache_write_tokens": written + lasting,
        "cache_write_1h_tokens": lasting,
        "output_tokens": output,
    }
    quote = priced(_consumed(provider, model, at, **counts), None, Decimal(1))
    assume(isinstance(quote, Quote) and quote.is_whole and quote.version == base.VERSION)
    assert isinstance(quote, Quote)
    # Of what its maker does not sell itself, as gpt-oss, whoever does has a price.
    assume(quote.how is How.NAMED)
    usage = {_BASE_NAMES[name]: count for name, count in counts.items()}
    # What the provider bills as something else is not the base's to know.
    assume(not cached or "cached_input" in rates)
    assume(not lasting or "cache_write_1h" in rates)
    assume(not written or "cache_write" in rates)
    expected = genai_prices.calc_price(
        genai_prices.Usage(**usage), model, provider_id=provider, genai_request_timestamp=at
    )
    assert quote.total == expected.total_price.quantize(UNIT)
    _adds_up(quote)
    scaled = priced(_consumed(provider, model, at, **counts), None, ratio)
    assert isinstance(scaled, Quote)
    _adds_up(scaled)


_COUNTS = st.fixed_dictionaries(
    {
        "cached_tokens": TOKENS,
        "cache_write_tokens": TOKENS,
        "cache_write_1h_tokens": TOKENS,
        "audio_input_tokens": TOKENS,
        "cached_audio_tokens": TOKENS,
        "image_input_tokens": TOKENS,
        "reasoning_tokens": TOKENS,
        "audio_output_tokens": TOKENS,
        "image_output_tokens": TOKENS,
        "plain": TOKENS,
        "said": TOKENS,
    }
)


def _whole(parts: dict[str, int]) -> dict[str, int]:
    """Make counts that fit together of numbers that need not."""
    counts = dict(parts)
    counts["cache_write_1h_tokens"] = min(counts["cache_write_1h_tokens"], counts["cache_write_tokens"])
    counts["cached_audio_tokens"] = min(
        counts["cached_audio_tokens"], counts["cached_tokens"], counts["audio_input_tokens"]
    )
    counts["input_tokens"] = (
        counts.pop("plain")
        + counts["cached_tokens"]
        + counts["cache_write_tokens"]
        + counts["audio_input_tokens"]
        - counts["cached_audio_tokens"]
        + counts["image_input_tokens"]
    )
    counts["output_tokens"] = (
        counts.pop("said")
        + counts["reasoning_tokens"]
        + counts["audio_output_tokens"]
        + counts["image_output_tokens"]
    )
    return {name: count for name, count in counts.items() if count}


_BILLED_AS = [
    ("reasoning", "output"),
    ("image_input", "input"),
    ("cache_write", "input"),
    ("cached_audio", "cached_input"),
    ("cache_write_1h", "cache_write"),
    ("audio_input", "input"),
    ("audio_output", "output"),
]


@given(parts=_COUNTS, billed_as=st.lists(st.sampled_from(_BILLED_AS), unique=True))
@settings(max_examples=300, deadline=None)
def test_each_token_is_in_one_kind_and_none_is_lost(
    parts: dict[str, int], billed_as: list[tuple[str, str]]
) -> None:
    counts = _whole(parts)
    found = tokens_by_kind(counts, dict(billed_as))
    assert sum(found.get(item, 0) for item in INPUT_ITEMS) == counts.get("input_tokens", 0)
    assert sum(found.get(item, 0) for item in OUTPUT_ITEMS) == counts.get("output_tokens", 0)
    assert all(count >= 0 for count in found.values())
    assert not found.keys() & {kind for kind, _ in billed_as}


@given(counts=st.dictionaries(st.sampled_from(COLUMNS[:7]), st.integers(0, 50), max_size=7))
def test_counts_that_contradict_each_other_have_no_price(counts: dict[str, int]) -> None:
    told = {name: count for name, count in counts.items() if count}
    read = {name: told.get(name, 0) for name in COLUMNS[:7]}
    fits = (
        read["cached_tokens"] + read["cache_write_tokens"] + read["audio_input_tokens"]
        <= read["input_tokens"]
        and read["audio_output_tokens"] <= read["output_tokens"]
    )
    kinds = ("input", "cached_input", "cache_write", "audio_input", "output", "audio_output")
    price = ModelPrice(pk=1, model_id=1, valid_from=BEGINNING, **dict.fromkeys(kinds, Decimal(1)))
    quote = priced(Consumed(NOON, 1, "house-model", None, None, told), price, Decimal(1))
    if not told:
        assert isinstance(quote, Unpriced) and quote.why is Why.NO_USAGE
    elif fits and read["reasoning_tokens"] + read["audio_output_tokens"] <= read["output_tokens"]:
        assert isinstance(quote, Quote)
    elif not fits:
        assert isinstance(quote, Unpriced) and quote.why is Why.CONTRADICTION


_PRICED = (*TOKEN_KINDS, *PIECE_KINDS, *TOOL_KINDS)
_PIECES = st.dictionaries(
    st.sampled_from(sorted(PIECES.values())), st.integers(1, 10**6) | st.decimals("0.001", 10**6, places=3)
)


@given(
    prices=st.dictionaries(st.sampled_from(_PRICED), PRICES, min_size=1),
    ratio=RATIOS,
    parts=_COUNTS,
    pieces=_PIECES,
)
@settings(max_examples=300, deadline=None)
def test_the_lines_of_random_prices_add_up_and_more_never_costs_less(
    prices: dict[str, Decimal], ratio: Decimal, parts: dict[str, int], pieces: dict[str, Any]
) -> None:
    price = ModelPrice(pk=1, model_id=1, valid_from=BEGINNING, **prices)
    counts = {**_whole(parts), **pieces}
    quote = priced(Consumed(NOON, 1, "house-model", None, None, counts), price, ratio)
    if not isinstance(quote, Quote):
        assert quote.why is Why.NO_USAGE
        return
    _adds_up(quote)
    # What was used is charged or named: each kind once.
    named = [line.item for line in quote.lines] + [missing.item for missing in quote.missing]
    assert len(named) == len(set(named))
    more = {
        **counts,
        "input_tokens": counts.get("input_tokens", 0) + 7,
        "output_tokens": counts.get("output_tokens", 0) + 7,
        **{name: count + 1 for name, count in pieces.items()},
    }
    dearer = priced(Consumed(NOON, 1, "house-model", None, None, more), price, ratio)
    assert isinstance(dearer, Quote) and dearer.total >= quote.total


def _adds_up(quote: Quote) -> None:
    assert sum((line.amount for line in quote.lines), quote.rounding) == quote.total
    assert abs(quote.rounding) <= UNIT * len(quote.lines)
    for line in quote.lines:
        assert line.quantity is not None
        assert line.unit_price is not None
        exact = exactly(line.quantity, line.unit_price, line.per, quote.ratio)
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
    assert own_sums.totals(Scope.own(alice), Selection()).unpriced == 1
    check_rollups()


def test_a_usage_that_is_not_known_has_no_price(alice: User, gateway: Gateway) -> None:
    assert stored(gateway, model="gpt-4o", input_tokens=0, output_tokens=0).cost is None


def test_a_failure_that_used_nothing_costs_nothing(alice: User, gateway: Gateway) -> None:
    own_price(input=None, output=None, per_call=1)
    failed = {"status": Status.ERROR, "http_status": 429, "input_tokens": 0, "output_tokens": 0}
    assert stored(gateway, model="house-1", **failed).cost == 0
    assert stored(gateway, model="nobody-knows", **failed).cost == 0
    assert stored(gateway, model="", **failed).cost == 0
    assert stored(gateway, model="", **failed | {"input_tokens": 3}).cost is None
    assert stored(gateway, model="", input_tokens=0, output_tokens=0).cost is None


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

    totals = own_sums.totals(Scope.own(alice), Selection())
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
        ({"audio_output": "1", "input": "1"}, "do not fit together"),
        ({"input": "1", "cached_input": "1"}, None),
        ({"per_video_second": "0.1", "tier": "flex"}, None),
        ({"input": "1", "tier": "Flex!"}, "Small letters"),
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
