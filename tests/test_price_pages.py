"""Prices are those of the providers' own pages, to the last digit; and what stands in our files is sound."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from logs.pricing import offers, overlay, sellers
from logs.pricing.charges import UNIT
from logs.pricing.consumed import Consumed
from logs.pricing.offers import Offer
from logs.pricing.overlay import OverlayError, ProviderFile
from logs.pricing.quotes import Quote, priced
from logs.pricing.sellers import Sold
from tests.price_pages import Row
from tests.price_pages_further import ROWS


def quoted(row: Row) -> Quote:
    used = Consumed(row.at, None, row.model, row.provider, None, row.used, row.tier, row.asked)
    found = priced(used, None, Decimal(1))
    assert isinstance(found, Quote), found
    return found


def test_the_table_is_of_many_models_and_providers() -> None:
    assert len({row.model for row in ROWS}) >= 40
    sold = [sellers.find(row.model, row.provider) for row in ROWS]
    assert len({one.provider for one in sold if isinstance(one, Sold)}) >= 12
    assert len({(row.name, str(row.used)) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_price_is_what_the_providers_page_says(row: Row) -> None:
    quote = quoted(row)
    assert (quote.missing, quote.total) == ((), row.usd.quantize(UNIT))
    assert date.fromisoformat(row.read) <= date(2026, 11, 27)
    assert row.page.startswith("https://")


# --- By the hour


def by_the_hour(model: str, at: str) -> Decimal:
    """Return what a million tokens of input cost at a time."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    used = Consumed(moment, None, model, "deepseek", None, {"input_tokens": 10**6})
    found = priced(used, None, Decimal(1))
    assert isinstance(found, Quote)
    return found.total


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2026-06-01T02:00", "0.14"),  # before there were hours
        ("2026-08-16T15:59", "0.14"),
        ("2026-08-17T01:00", "0.44"),
        ("2026-08-22T02:00", "0.44"),  # a Saturday, when they still held on all days
        ("2026-08-29T02:00", "0.22"),  # a Saturday, when they no longer did
        ("2026-11-26T00:59", "0.15"),
        ("2026-11-26T01:00", "0.3"),
        ("2026-11-26T03:59", "0.3"),
        ("2026-11-26T04:00", "0.15"),
        ("2026-11-26T06:00", "0.3"),
        ("2026-11-28T06:00", "0.15"),  # a Saturday
        ("2026-10-01T06:00", "0.15"),  # a holiday
    ],
)
def test_a_price_by_the_hour_is_that_of_the_calls_own(at: str, price: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    quote = quoted(
        Row("deepseek", "deepseek-v4-flash", {"input_tokens": 10**6}, Decimal(0), "", "", at=moment)
    )
    assert quote.total == Decimal(price)


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2025-05-01T16:29", "0.27"),
        ("2025-05-01T16:30", "0.135"),
        ("2025-05-02T00:29", "0.135"),
        ("2025-05-02T00:30", "0.27"),
        ("2025-09-06T16:30", "0.56"),  # the discount had ended
    ],
)
def test_a_discount_by_the_hour_holds_where_it_held(at: str, price: str) -> None:
    assert by_the_hour("deepseek-chat", at) == Decimal(price)


def test_prices_that_are_kept_are_those_that_would_be_found_anew() -> None:
    """Every hour of a year, asked in two orders: what is kept of one call is never another one's price."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=3 * number, minutes=number % 60) for number in range(2900)]
    for provider, model, tier in (
        ("deepseek", "deepseek-v4-pro", ""),
        ("openai", "gpt-5", "flex"),
        ("anthropic", "claude-sonnet-4-0", "batch"),
        ("google", "veo-3.0-generate-001", ""),
    ):
        kept = [_rates(provider, model, tier, at) for at in moments]
        offers._offer.cache_clear()
        anew = [_rates(provider, model, tier, at) for at in reversed(moments)]
        assert kept == anew[::-1]


def _rates(provider: str, model: str, tier: str, at: datetime) -> object:
    found = offers.find(Consumed(at, None, model, provider, None, {}, tier))
    assert isinstance(found, Offer)
    return found.rates


# --- Our files


def test_every_entry_of_our_files_is_of_a_model_that_is_found_and_of_a_day_that_was() -> None:
    for file in overlay.providers().values():
        for entry in file.entries:
            assert date(2024, 1, 1) <= entry.read <= date(2026, 11, 27), (file.id, entry.models)
            assert entry.source.count(" ") == 0
        for price in file.price:
            assert price.usd
            for pattern in price.models:
                names = (pattern.replace("*", "x"), pattern.strip("*").removesuffix("-"))
                beside = set(price.usd) <= {"web_search", "file_search", "code_session"}
                assert beside or any(isinstance(sellers.find(name, file.id), Sold) for name in names), pattern


def test_no_two_words_stand_for_two_providers() -> None:
    words: dict[str, str] = {}
    for file in overlay.providers().values():
        for word in (file.id, *file.names):
            letters = "".join(filter(str.isalnum, word.lower()))
            assert words.setdefault(letters, file.id) == file.id, word


def _file(folder: Path, text: str, name: str = "acme") -> dict[str, ProviderFile]:
    (folder / f"{name}.toml").write_text(f'id = "{name}"\n{text}')
    return overlay.load(folder)


PRICE = '[[price]]\nmodels = ["m"]\nusd.input = "1"\n'
ENTRY = 'source = "https://example.com/prices"\nread = 2026-01-01\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'[[price]]\nmodels = ["m"]\nusd.input = "free"\n{ENTRY}', "no amount"),
        (f'[[price]]\nmodels = ["m"]\nusd.input = "-1"\n{ENTRY}', "no amount"),
        (f'[[price]]\nmodels = ["m"]\nusd.inputs = "1"\n{ENTRY}', "no kinds: inputs"),
        (f'[[price]]\nmodels = ["m"]\nusd.input = "1/x"\n{ENTRY}', "no price"),
        (f'[[price]]\nmodels = ["m"]\nusd.input = "1; over 5: 2"\n{ENTRY}', "no price"),
        (f'[[price]]\nmodels = ["*"]\nusd.input = "1"\n{ENTRY}', "all of them"),
        (f'[[price]]\nmodels = ["a*b"]\nusd.input = "1"\n{ENTRY}', "in the midst"),
        (f'[[price]]\nmodels = ["M"]\nusd.input = "1"\n{ENTRY}', "capitals"),
        (f'[[price]]\nmodels = []\nusd.input = "1"\n{ENTRY}', "none"),
        ('[[price]]\nmodels = ["m"]\nusd.input = "1"\nsource = "page"\nread = 2026-01-01\n', "no address"),
        ('[[price]]\nmodels = ["m"]\nusd.input = "1"\nread = 2026-01-01\n', "source"),
        (f'{PRICE}hours = ["5-6"]\n{ENTRY}', "HH:MM"),
        (f'{PRICE}hours = ["06:00-05:00"]\n{ENTRY}', "does not end"),
        (f'{PRICE}from = "2026-02-01"\nuntil = "2026-01-01"\n{ENTRY}', "ends"),
        (f'{PRICE}from = "soon"\n{ENTRY}', "soon"),
        (f'{PRICE}holidays = [2026-01-01]\n{ENTRY}', "workdays"),
        (f'{PRICE}price = 2\n{ENTRY}', "unknown field"),
        (f'[[tier]]\nmodels = ["m"]\ntier = "x"\ntimes = "half"\nkinds = ["input"]\n{ENTRY}', "no amount"),
        ("[[price]", "acme.toml"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_what_was_meant_is_refused_with_its_name(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(OverlayError, match=said) as refused:
        _file(tmp_path, text)
    assert "acme.toml" in str(refused.value)


def test_a_file_is_read_as_it_says(tmp_path: Path) -> None:
    text = f"""
[[price]]
models = ["m-1*", "*:free"]
usd.input = "0.4; above 256000: 1.2; above 32000: 0.8"
usd.web_search = "10/1000"
usd.characters = "15"
when.size = ["1024x1024"]
from = "2026-01-01"
until = "2026-02-01T12:00+08:00"
{ENTRY}"""
    [price] = _file(tmp_path, text)["acme"].price
    rates = {kind: overlay.rate_of(kind, said) for kind, said in price.usd.items()}
    assert [rates["input"].at(count) for count in (1, 32_000, 32_001, 256_001)] == list(
        map(Decimal, ("0.4", "0.4", "0.8", "1.2"))
    )
    assert (rates["web_search"].per, rates["characters"].per) == (1000, 10**6)
    assert (price.begins, price.ends) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime.fromisoformat("2026-02-01T04:00+00:00"),
    )
    assert [overlay.is_one_of(name, price.models) for name in ("m-1", "m-12", "x:free", "m-2")] == [
        True, True, True, False,
    ]  # fmt: skip
