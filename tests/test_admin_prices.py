"""The catalogue's prices beside this installation's own, where a price is entered."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AIModel
from logs.models import ModelPrice
from tests.admin_pages import client, text
from tests.cast import signed_in
from tests.test_staff import staff

__all__ = ["client"]

PRICES = "/admin/logs/modelprice/"


@pytest.fixture
def model(db: None) -> AIModel:
    return AIModel.objects.create(name="gpt-4o")


def price(model: AIModel, days: float, **fields: Decimal) -> ModelPrice:
    return ModelPrice.objects.create(model=model, valid_from=timezone.now() + timedelta(days=days), **fields)


def test_a_new_price_is_entered_beside_the_catalogues(client: Client, model: AIModel) -> None:
    page = text(client.get(f"{PRICES}add/?model={model.pk}"))
    assert "Prices of gpt-4o today" in page and "OpenAI" in page and "$2.50 / 1M" in page
    unknown = AIModel.objects.create(name="nobody-sells-it")
    page = text(client.get(f"{PRICES}add/?model={unknown.pk}"))
    assert "No price is known for “nobody-sells-it”." in page
    assert client.get(f"{PRICES}add/?model=x").status_code == 200
    assert client.get(f"{PRICES}add/?model=999999").status_code == 200


def test_a_price_shows_what_it_overrides_and_what_a_call_costs_by_either(
    client: Client, model: AIModel
) -> None:
    own = price(model, -1, input=Decimal(10))
    page = text(client.get(f"{PRICES}{own.pk}/change/"))
    assert "$2.50 / 1M" in page and "$10.00 / 1M" in page
    # 600 x 2.50 + 400 x 1.25 + 500 x 10 for a million; and with ten dollars for the six hundred.
    assert "$0.007" in page and "$0.0115" in page
    assert "By the catalogue" in page and "By your price of" in page


def test_the_list_says_what_the_catalogue_has_and_which_version_holds(client: Client, model: AIModel) -> None:
    past, held, coming = (price(model, days, input=Decimal(2)) for days in (-9, -1, 9))
    page = text(client.get(PRICES))
    assert "input 2.5 · output 10" in page
    for when, one in (("past", past), ("now", held), ("coming", coming)):
        page = text(client.get(PRICES, {"when": when}))
        shown = {row for row in (past, held, coming) if f"{PRICES}{row.pk}/change/" in page}
        assert shown == {one}, when


def test_who_may_not_see_models_is_told_of_none(model: AIModel) -> None:
    page = text(
        signed_in(staff("logs.add_modelprice", "logs.view_modelprice")).get(f"{PRICES}add/?model={model.pk}")
    )
    assert "gpt-4o" not in page
