"""Columns, page size and what is new."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from logs.listing.display import DEFAULT_COLUMNS
from logs.listing.table import COLUMNS
from logs.models import UsageRecord
from tests.cast import event, signed_in, store

pytestmark = pytest.mark.django_db

PAGE = "/records/usage/"


@pytest.fixture
def recent(gateway: Gateway, alice: User) -> None:
    now = timezone.now()
    store(gateway, *(event(created_at=now - timedelta(seconds=n + 60), model=f"m{n % 2}") for n in range(60)))


@pytest.mark.usefixtures("recent")
def test_columns_and_page_size_are_kept_with_the_account(alice: User, alice_client: Client) -> None:
    response = alice_client.post(
        f"{PAGE}display/", {"column": ["cost", "cause", "nonsense"], "page_size": "25", "query": "model=m1"}
    )
    assert response["Location"] == f"{PAGE}?model=m1"
    page = signed_in(alice).get(PAGE).content.decode()
    assert page.count('<tr class="record') == 25
    assert "c-cost" in page
    assert 'class="c-model"' not in page
    assert ">Cause</th>" in page


@pytest.mark.usefixtures("recent")
@pytest.mark.parametrize("size", ["", "-1", "51", "1000000", "x"])
def test_a_page_size_that_is_not_offered_is_the_default(alice_client: Client, size: str) -> None:
    alice_client.post(f"{PAGE}display/", {"column": list(DEFAULT_COLUMNS), "page_size": size})
    assert alice_client.get(PAGE).content.decode().count('<tr class="record') == 50


@pytest.mark.usefixtures("recent")
def test_a_crafted_query_stays_a_query(alice_client: Client) -> None:
    response = alice_client.post(f"{PAGE}display/", {"query": "a=1\r\nSet-Cookie: x=1"})
    assert response["Location"] == f"{PAGE}?a=1%0D%0ASet-Cookie%3A+x%3D1"


@pytest.mark.usefixtures("recent")
def test_every_column_has_a_head_and_a_cell(alice_client: Client) -> None:
    alice_client.post(f"{PAGE}display/", {"column": list(COLUMNS), "page_size": "25"})
    page = alice_client.get(PAGE).content.decode()
    page = page[page.index('<table class="listing"') :]
    head = page[: page.index("</thead>")]
    row = page[page.index('<tr class="record') :]
    assert head.count("<th ") == row[: row.index("</tr>")].count("<td ") == len(COLUMNS) + 3


@pytest.mark.usefixtures("recent")
def test_another_site_cannot_change_the_choice(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(f"{PAGE}display/", {"page_size": "25"}).status_code == 403


@pytest.mark.usefixtures("recent")
def test_new_records_are_counted_under_the_current_filters(alice_client: Client, gateway: Gateway) -> None:
    page = alice_client.get(PAGE, {"model": "m1"}).content.decode()
    url = re.search(r'hx-get="(/records/usage/news/[^"]+)"', page)
    assert url
    ask = url[1].replace("&amp;", "&")
    assert "new record" not in alice_client.get(ask).content.decode()
    now = timezone.now()
    store(
        gateway,
        event(created_at=now, model="m1"),
        event(created_at=now - timedelta(milliseconds=1), model="m0"),
        event("bob@x.org", model="m1"),
    )
    assert "1 new record" in alice_client.get(ask).content.decode()
    store(gateway, *(event(created_at=now + timedelta(milliseconds=n), model="m1") for n in range(1, 151)))
    assert "100+ new records" in alice_client.get(ask).content.decode()


@pytest.mark.usefixtures("recent")
def test_only_the_top_of_a_list_that_ends_now_asks_for_news(alice_client: Client) -> None:
    middle = UsageRecord.objects.order_by("id")[30].id
    for query in ({"older": str(middle)}, {"range": "yesterday"}, {"end": "2030-01-01T00:00"}):
        assert "usage/news/" not in alice_client.get(PAGE, query).content.decode()
    assert "usage/news/" in alice_client.get(PAGE, {"range": "all"}).content.decode()
    assert alice_client.get(f"{PAGE}news/", {"since": "x"}).status_code == 404


@pytest.mark.usefixtures("recent")
def test_live_is_a_switch_in_the_url(alice_client: Client) -> None:
    off = alice_client.get(PAGE, {"model": "m1"}).content.decode()
    assert f'href="{PAGE}?model=m1&amp;live=on"' in off
    on = alice_client.get(PAGE, {"model": "m1", "live": "on"}).content.decode()
    assert 'aria-checked="true"' in on
