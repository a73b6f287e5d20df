"""The list sorted over HTTP, and the list of records without a model, token or group."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

import pytest
from django.http import QueryDict
from django.test import Client

from accounts.access import personal_tokens
from accounts.models import Gateway, User
from logs.exports import UsageSource
from logs.listing import largest_records
from logs.models import RecordType, Status
from tests.cast import event, store
from tests.test_compare import lines, link_of
from tests.test_usage_tab import DAY, figures, get, listed, text


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        event(request_id="cheap", minutes=0, cost=Decimal("0.01"), duration_ms=9000, input_tokens=5),
        event(request_id="dear", minutes=1, cost=Decimal("0.5"), duration_ms=100, input_tokens=900, model=""),
        event(request_id="alike", minutes=2, cost=Decimal("0.01"), model="", token=""),
        event(request_id="unpriced", minutes=3, duration_ms=700, model="claude", token="", group=""),
        event(
            request_id="refund",
            minutes=4,
            cost=Decimal("-0.25"),
            type=RecordType.REFUND,
            input_tokens=0,
            output_tokens=0,
        ),
        event(request_id="failed", minutes=5, status=Status.ERROR, http_status=500, model="", duration_ms=50),
        event(user="bob@example.com", request_id="bobs", minutes=6, cost=Decimal(9), model=""),
    )


def href(page: str, name: str) -> str:
    found = re.search(rf'id="{name}"[^>]* href="([^"]+)"', page)
    assert found, name
    return unescape(found[1])


@pytest.mark.usefixtures("records")
def test_a_heading_sorts_the_largest_first_and_leads_back_to_the_newest(alice_client: Client) -> None:
    newest = get(alice_client, **DAY)
    page = text(newest)
    assert '<th class="c-time" scope="col" aria-sort="descending">' in page
    cost = alice_client.get(href(page, "sort-cost"))
    assert listed(cost) == ["dear", "alike", "cheap", "refund"]
    page = text(cost)
    assert '<th class="c-cost" scope="col" aria-sort="descending">' in page
    assert "1–4 by cost, largest first. Records without a known price are not listed." in page
    assert '<td class="c-time">2026-03-10 12:01:00</td>' in page
    assert 'class="day' not in page
    assert 'id="live"' not in page
    assert 'id="news"' not in page
    assert '<input type="radio" name="sort" value="cost" checked>' in page
    assert figures(cost) == figures(newest), "what is summed does not hang on the order"
    assert listed(alice_client.get(href(page, "sort-duration"))) == ["cheap", "unpriced", "dear", "failed"]
    assert listed(alice_client.get(href(page, "sort-tokens")))[0] == "dear"
    for back in ("sort-cost", "sort-time"):
        assert listed(alice_client.get(href(page, back))) == listed(newest)


@pytest.mark.usefixtures("records")
def test_a_sorted_list_is_paged_forth_and_back(
    alice_client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logs.listing.display.PAGE_SIZES", (2,))
    alice.preferences["usage_list"] = {"page_size": 2}
    alice.save()
    first = get(alice_client, **DAY, sort="cost")
    second = alice_client.get(href(text(first), "page-older"))
    assert listed(first) + listed(second) == ["dear", "alike", "cheap", "refund"]
    assert "3–4 by cost" in text(second)
    assert 'id="page-older"' not in text(second)
    assert listed(alice_client.get(href(text(second), "page-newer"))) == listed(first)
    monkeypatch.setattr(largest_records, "MOST_DEEP", 2)
    page = text(get(alice_client, **DAY, sort="cost"))
    assert "A sorted list ends after 2 records." in page
    assert 'id="page-older"' not in page


@pytest.mark.usefixtures("records")
def test_a_column_that_is_put_away_is_shown_while_the_list_is_sorted_by_it(
    alice_client: Client, alice: User
) -> None:
    alice.preferences["usage_list"] = {"columns": ["model"]}
    alice.save()
    assert "c-duration" not in text(get(alice_client, **DAY))
    assert "9.00 s" in text(get(alice_client, **DAY, sort="duration"))


@pytest.mark.usefixtures("records")
def test_an_order_is_of_its_view_alone(alice_client: Client) -> None:
    for query in ({"errors": "each"}, {"request_id": "cheap"}, {"errors": "gathered"}):
        page = text(get(alice_client, **DAY, sort="cost", **query))
        assert "largest first" not in page
        assert 'id="sort-' not in page
    page = text(get(alice_client, **DAY, sort="cost"))
    assert "sort=" not in href(page, "view-compare")
    assert "sort=" not in href(page, "view-errors")
    page = text(get(alice_client, **DAY, sort="-requests"))
    assert listed(get(alice_client, **DAY, sort="-requests")) == listed(get(alice_client, **DAY))
    assert "sort=" not in href(page, "view-list")


@pytest.mark.usefixtures("records")
def test_a_list_that_cannot_be_sorted_says_why(alice_client: Client) -> None:
    page = text(get(alice_client, **DAY, sort="cost", model="claude"))
    assert "Nothing to sort by" in page
    assert "None of the records that match has a known price." in page
    page = text(get(alice_client, **DAY, sort="cost", model="claude", cost_min="5"))
    assert "The filter by “Cost from (USD)” hides 1 record" in page


@pytest.mark.usefixtures("records")
def test_the_read_api_sorts_alike_and_goes_on(alice: User) -> None:
    _, key = personal_tokens.issue(alice, "sorting", 1)
    client = Client(headers={"authorization": f"Bearer {key}"})
    url = "/api/v1/usage?start=2026-03-10T00:00Z&end=2026-03-11T00:00Z&sort=cost&limit=3"
    found: list[str] = []
    while url:
        answer = client.get(url).json()
        found += [row["request_id"] for row in answer["data"]]
        url = answer["next"]
    assert found == ["dear", "alike", "cheap", "refund"]
    assert client.get("/api/v1/usage?sort=-cost").status_code == 400


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("by", "label", "ids"),
    [
        ("model", "Without a model", {"dear", "alike", "failed"}),
        ("token", "Without a token", {"alike", "unpriced"}),
        ("group", "Without a group", {"unpriced"}),
    ],
)
def test_a_line_of_records_without_a_name_leads_to_exactly_these(
    alice_client: Client, alice: User, by: str, label: str, ids: set[str]
) -> None:
    page = text(get(alice_client, **DAY, compare=by))
    [(_, cost, requests)] = [line for line in lines(page) if line[0] == label]
    link = link_of(page, label)
    assert f"without={by}" in link
    answer = alice_client.get(link)
    assert set(listed(answer)) == ids
    assert Decimal(figures(answer)["cost"]) == cost
    assert figures(answer)["requests"] == str(requests) == str(len(ids))
    page = text(answer)
    assert f'>{label}<span class="pill-x"' in page
    assert f'name="without" value="{by}" checked' in page
    assert set(listed(alice_client.get(link + "&sort=tokens"))) == ids
    chart = alice_client.get("/records/usage/chart/?" + link.partition("?")[2]).json()
    assert sum(bucket[1] for bucket in chart["buckets"]) == len(ids)
    selected = UsageSource().select(alice.pk, QueryDict(link.partition("?")[2]))
    blocks = list(selected.blocks(["request_id"], None, 100))
    assert {value for block in blocks for column in block.values for value in column} == ids
    assert selected.expected().rows == sum(block.rows for block in blocks) == len(ids)


@pytest.mark.usefixtures("records")
def test_without_stands_beside_names_and_goes_with_its_pill(alice_client: Client, gateway: Gateway) -> None:
    both = get(alice_client, **DAY, model="claude", without="model")
    assert set(listed(both)) == {"unpriced", "dear", "alike", "failed"}
    pill = re.search(r'class="pill" href="([^"]+)"[^>]*>Without a model', text(both))
    assert pill
    assert listed(alice_client.get(unescape(pill[1]))) == ["unpriced"]
    # A model may be called anything.
    store(gateway, event(request_id="named", minutes=9, model="Without a model"))
    assert "named" not in listed(get(alice_client, **DAY, without="model"))
    assert listed(get(alice_client, **DAY, model="Without a model")) == ["named"]
    nothing = text(get(alice_client, **DAY, group="default", without="token", status="error"))
    assert "The filter by “Without a token” hides" in nothing
