"""A receipt's lines add up to the charge to the last digit; a difference is explained in amounts."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import AIModel, Gateway, Group, User
from logs.models import ModelPrice, RecordType, Status, UsageRecord
from logs.models.prices import BEGINNING
from logs.pricing.charges import UNIT, WIDE
from logs.pricing.quotes import PriceBook
from logs.pricing.receipts import Receipt, receipt
from routescope.data.ids import derived_id
from tests.cast import NOON, event, signed_in, store
from tests.test_details import details

MODEL = AIModel(pk=7, name="house-1")
COSTS = st.decimals(-1000, 1000, places=12)
TOKENS = st.integers(0, 3_000_000)
RATIOS = st.sampled_from([Decimal(text) for text in ("0", "0.333333", "0.8", "1", "1.5", "2.000001")])
PRICES = st.decimals(0, 500, places=6)


class Book(PriceBook):
    """Prices and ratios in hand instead of in the database."""

    def __init__(self, *prices: ModelPrice, ratio: Decimal = Decimal(1)) -> None:
        self._prices = {7: list(prices)}
        self._given = ratio

    def ratio(self, group_id: int | None, at: Any) -> Decimal:
        return self._given


def record(**fields: Any) -> UsageRecord:
    values = {
        "id": derived_id(NOON, "x"),
        "created_at": NOON,
        "model": MODEL,
        "type": RecordType.REQUEST,
        "status": Status.SUCCESS,
        "input_tokens": 1000,
        "cached_tokens": 400,
        "output_tokens": 100,
        "cost": None,
        **fields,
    }
    return UsageRecord(**values)


def price(**fields: Any) -> ModelPrice:
    return ModelPrice(
        pk=3, model_id=7, valid_from=BEGINNING, **{"input": Decimal(2), "output": Decimal(10), **fields}
    )


def check(made: Receipt) -> None:
    if made.total is None:
        assert made.lines == ()
        return
    # Exactly: lines that a gateway made up may need more digits than the default context's 28.
    with localcontext(WIDE):
        assert sum((line.amount for line in made.lines), Decimal(0)) == made.total
        if made.by_catalogue is not None:
            explained = sum((difference.amount for difference in made.differences), Decimal(0))
            assert explained == made.total - made.by_catalogue.total


@st.composite
def billings(draw: st.DrawFn) -> Any:
    """What a gateway may send: full lines, LiteLLM's, prices alone, new-api's ratios, or nonsense."""
    shape = draw(st.integers(0, 5))
    number = st.one_of(PRICES.map(str), st.integers(0, 10**6), st.floats(0, 10**6))
    if shape == 0:
        line = st.fixed_dictionaries(
            {"item": st.sampled_from(["input", "cached_input", "output", "reasoning", "per_call", "x"])},
            optional={"quantity": TOKENS, "unit_price": number, "per": st.sampled_from([1, 1000, 10**6]),
                      "amount": COSTS.map(str)},
        )  # fmt: skip
        return {"lines": draw(st.lists(line, max_size=6)), "group_ratio": draw(RATIOS.map(str))}
    if shape == 1:
        line = st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["input", "cache_write", "output", "margin", "tools"]),
                "amount": COSTS.map(str),
            },
            optional={"tokens": TOKENS},
        )
        return {"source": "litellm", "lines": draw(st.lists(line, max_size=6))}
    if shape == 2:
        prices = st.dictionaries(st.sampled_from(["input", "cached_input", "output", "per_call"]), number)
        return {"unit_prices": draw(prices), "group_ratio": draw(RATIOS.map(str))}
    if shape == 3:
        return {"model_ratio": draw(number), "completion_ratio": draw(number), "cache_ratio": draw(number),
                "group_ratio": draw(number), "user_group_ratio": -1}  # fmt: skip
    return draw(st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.lists(st.none())))


@given(billing=billings(), cost=st.none() | COSTS, input_tokens=TOKENS, cached=TOKENS, output=TOKENS,
       ratio=RATIOS, input_price=PRICES, output_price=PRICES, known=st.booleans())  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_lines_and_differences_add_up_whatever_was_sent(
    billing: Any, cost: Decimal | None, input_tokens: int, cached: int, output: int, ratio: Decimal,
    input_price: Decimal, output_price: Decimal, known: bool,
) -> None:  # fmt: skip
    book = Book(*([price(input=input_price, output=output_price)] if known else []), ratio=ratio)
    sent = json.loads(json.dumps(billing))
    usage = {"input_tokens": input_tokens + cached, "cached_tokens": cached, "output_tokens": output}
    check(receipt(record(cost=cost, billing=sent, **usage), book))


@given(cached=TOKENS, plain=TOKENS, output=TOKENS, ratio=RATIOS, prices=st.tuples(PRICES, PRICES, PRICES))
@settings(max_examples=200, deadline=None)
def test_a_charge_priced_here_has_a_receipt_that_equals_the_catalogue(
    cached: int, plain: int, output: int, ratio: Decimal, prices: tuple[Decimal, Decimal, Decimal]
) -> None:
    book = Book(price(input=prices[0], cached_input=prices[1], output=prices[2]), ratio=ratio)
    bare = record(input_tokens=plain + cached, cached_tokens=cached, output_tokens=output)
    quote = receipt(bare, book).by_catalogue
    if quote is None:
        return
    made = receipt(record(input_tokens=plain + cached, cached_tokens=cached, output_tokens=output,
                          cost=quote.total, billing=json.loads(json.dumps(quote.billing))), book)  # fmt: skip
    check(made)
    assert made.differences == ()
    rounding = sum((line.amount for line in made.lines if line.item == "rounding"), Decimal(0))
    assert abs(rounding) <= 4 * UNIT


def sent(items: dict[str, tuple[int, str]], ratio: str = "1", **more: Any) -> dict[str, Any]:
    """Lines as the native format sends them: {item: (quantity, USD per 1M)}."""
    lines = [
        {"item": item, "quantity": count, "unit_price": unit, "per": 10**6,
         "amount": str(Decimal(count) * Decimal(unit) * Decimal(ratio) / 10**6)}
        for item, (count, unit) in items.items()
    ]  # fmt: skip
    return {"lines": lines, "group_ratio": ratio, **more}


# --- In the page


@pytest.fixture
def charged(alice: User, gateway: Gateway) -> UsageRecord:
    model = AIModel.objects.create(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, input=2, cached_input=1, output=10)
    billing = sent(
        {"input": (600, "2"), "cached_input": (400, "1"), "output": (200, "10")}, price_version="May"
    )
    store(gateway, event(model="house-1", input_tokens=1000, cached_tokens=400, output_tokens=100,
                         cost=Decimal("0.0036"), billing=billing, group="vip"))  # fmt: skip
    return UsageRecord.objects.get()


def test_the_page_shows_lines_total_version_and_the_difference(
    alice_client: Client, charged: UsageRecord
) -> None:
    page = details(alice_client, charged)
    assert 'data-total="0.0036"' in page
    assert "version May" in page
    assert "Output length: the gateway counted 200 tokens, the record holds 100" in page
    assert 'data-amount="0.001"' in page


def test_an_unpriced_record_says_so(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(model="nobody-knows"))
    assert "No price is known for “nobody-knows”" in details(alice_client, UsageRecord.objects.get())


def test_a_call_that_nobody_charged_is_an_estimate(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(model="gpt-5", input_tokens=1000, output_tokens=0))
    page = details(alice_client, UsageRecord.objects.get())
    assert ">Estimated from the catalogue</th>" in page and ">Charged</th>" not in page
    assert "Cost: $0.00125 (Estimated from the catalogue)" in page
    assert "only OpenAI sells the model" in page


def test_a_call_by_an_admins_price_says_so(alice_client: Client, gateway: Gateway) -> None:
    model = AIModel.objects.create(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, input=2, output=10)
    store(gateway, event(model="house-1"))
    assert "Estimated from this installation&#x27;s own prices" in details(
        alice_client, UsageRecord.objects.get()
    )


def test_a_call_that_was_charged_says_so(alice_client: Client, charged: UsageRecord) -> None:
    page = details(alice_client, charged)
    assert ">Charged</th>" in page and "Estimated" not in page


def test_a_refused_call_is_not_charged(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(model="gpt-5", status=Status.ERROR, http_status=429, cost=Decimal(0), group="vip"))
    page = details(alice_client, UsageRecord.objects.get())
    assert "Not charged because the call was refused" in page
    assert "Group ratio" not in page


def test_a_refund_is_a_line(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(type=RecordType.REFUND, cost=Decimal("-0.25")))
    page = details(alice_client, UsageRecord.objects.get())
    assert 'data-amount="-0.25"' in page and "Re-price" not in page


def ask(client: Client, record: UsageRecord, htmx: bool = True, **asked: str) -> str:
    url = reverse("usage-reprice", args=[record.id])
    headers = {"HX-Request": "true"} if htmx else {}
    return client.get(
        url, {"model": "house-1", "group": "vip", "day": "2026-03-10", **asked}, headers=headers
    ).content.decode()


def test_the_usage_is_priced_under_another_model_group_and_date(
    alice_client: Client, charged: UsageRecord
) -> None:
    vip = Group.objects.get(name="vip")
    assert 'data-repriced="0.0026"' in ask(alice_client, charged)
    assert 'data-repriced="0.003"' in ask(alice_client, charged, model="gpt-4o")
    vip.ratio = Decimal("0.5")
    vip.save()
    assert 'data-repriced="0.0026"' in ask(alice_client, charged)
    assert 'data-repriced="0.0013"' in ask(alice_client, charged, day="2100-01-01")
    ModelPrice.objects.create(
        model=AIModel.objects.get(name="house-1"),
        valid_from=NOON + timedelta(days=30),
        input=20,
        output=0,
        cached_input=0,
    )
    assert 'data-repriced="0.012"' in ask(alice_client, charged, day="2026-05-01", group="")


def test_repricing_works_without_scripts(alice_client: Client, charged: UsageRecord) -> None:
    page = ask(alice_client, charged, htmx=False)
    assert "<!doctype html>" in page and 'data-repriced="0.0026"' in page


def test_repricing_says_what_is_wrong(alice_client: Client, charged: UsageRecord, gateway: Gateway) -> None:
    assert "No price is known for “nope”" in ask(alice_client, charged, model="nope")
    store(gateway, event("bob@example.com", group="bobs"))
    assert "no records in a group called “bobs”" in ask(alice_client, charged, group="bobs")
    assert "Enter a valid date" in ask(alice_client, charged, day="soon")


def test_a_stranger_cannot_price_it(charlie: User, charged: UsageRecord) -> None:
    response = signed_in(charlie).get(reverse("usage-reprice", args=[charged.id]), {"model": "gpt-4o"})
    assert response.status_code == 404


def test_a_price_change_today_leaves_yesterdays_receipt(
    alice_client: Client, alice: User, gateway: Gateway
) -> None:
    model = AIModel.objects.create(name="house-1")
    ModelPrice.objects.create(model=model, valid_from=BEGINNING, input=2, output=10)
    store(gateway, event(model="house-1"))
    record = UsageRecord.objects.get()
    before = details(alice_client, record)
    ModelPrice.objects.create(model=model, valid_from=NOON + timedelta(days=1), input=9, output=9)
    assert details(alice_client, record) == before
    # Even one that is said to hold since earlier: what was charged then stays; the page says what differs.
    ModelPrice.objects.create(model=model, valid_from=NOON - timedelta(days=1), input=9, output=9)
    after = details(alice_client, record)
    assert f'data-total="{record.cost.normalize():f}"' in after  # type: ignore[union-attr]
    assert "Price version" in after
