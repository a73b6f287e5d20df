"""The Compare view over HTTP: lines, sorting, the way from a line to its records."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Gateway, User
from logs.models import RecordType, Status
from logs.models.events import Failure
from logs.usage import compare
from tests.cast import NOON, event, signed_in, store
from tests.test_usage_tab import DAY, PAGE, figures, get, text


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        event(model="gpt-5", cost=Decimal("0.03"), input_tokens=900, output_tokens=100, cached_tokens=450),
        event(model="gpt-5", cost=Decimal("0.01"), minutes=1, token="test"),
        event(model="claude", cost=Decimal("0.06"), minutes=2, input_tokens=10, output_tokens=20),
        event(
            model="claude",
            minutes=3,
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", message="slow down"),
            cost=Decimal(0),
        ),
        event(
            model="",
            minutes=4,
            type=RecordType.ADJUSTMENT,
            cost=Decimal("-0.02"),
            input_tokens=0,
            output_tokens=0,
        ),
        event(user="bob@example.com", model="secret-model", cost=Decimal(9)),
    )


def lines(page: str) -> list[tuple[str, Decimal, int]]:
    """Return the lines of the table: label, cost, requests."""
    found = re.findall(r'data-line="([^"]+)" data-cost="([^"]+)" data-requests="(\d+)"', page)
    return [(unescape(label), Decimal(cost), int(requests)) for label, cost, requests in found]


def link_of(page: str, label: str) -> str:
    found = re.search(rf'data-line="{label}".*?<a href="([^"]+)"', page, re.DOTALL)
    assert found
    return unescape(found[1])


@pytest.mark.usefixtures("records")
def test_models_are_compared_under_the_filters_and_add_up_to_the_header(alice_client: Client) -> None:
    response = get(alice_client, **DAY, compare="model")
    page = text(response)
    assert lines(page) == [
        ("claude", Decimal("0.06"), 2),
        ("gpt-5", Decimal("0.04"), 2),
        ("Without a model", Decimal("-0.02"), 0),
    ]
    total = re.search(r'data-total data-cost="([^"]+)" data-requests="(\d+)"', page)
    assert total
    assert total.groups() == (figures(response)["cost"], figures(response)["requests"]) == ("0.08", "4")
    assert "secret-model" not in page
    gpt = page[page.index('data-line="gpt-5"') : page.index('data-line="Without')]
    for shown in ("100%", "8.3 : 1", "45%", "$0.0400", "50%", "$0.0200", "$35.71"):
        assert shown in gpt, shown
    assert [line[0] for line in lines(text(get(alice_client, **DAY, compare="model", token="test")))] == [
        "gpt-5"
    ]


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("name", "claude"),
        ("-name", "gpt-5"),
        ("cost", "Without a model"),
        ("-input", "gpt-5"),
        ("ratio", "claude"),
    ],
)
def test_lines_are_sorted_by_the_column_asked_for(alice_client: Client, sort: str, first: str) -> None:
    assert lines(text(get(alice_client, **DAY, compare="model", sort=sort)))[0][0] == first


@pytest.mark.usefixtures("records")
def test_what_is_not_known_comes_last_either_way(alice_client: Client) -> None:
    for sort in ("per_request", "-per_request", "name", "-name"):
        assert lines(text(get(alice_client, **DAY, compare="model", sort=sort)))[-1][0] == "Without a model"


@pytest.mark.usefixtures("records")
def test_a_heading_sorts_and_sorts_the_other_way_round(alice_client: Client) -> None:
    page = text(get(alice_client, **DAY, compare="model"))
    assert 'aria-sort="descending"><a id="sort-cost"' in page
    heading = re.search(r'id="sort-cost" href="([^"]+)"', page)
    assert heading
    page = text(alice_client.get(unescape(heading[1])))
    assert 'aria-sort="ascending"><a id="sort-cost"' in page
    heading = re.search(r'id="sort-cost" href="([^"]+)"', page)
    assert heading
    assert "sort=" not in heading[1], "the default sort needs no word in the URL"


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("by", ["model", "token", "group", "day", "cause"])
def test_each_line_leads_to_exactly_its_records(alice: User, by: str, gateway: Gateway) -> None:
    alice.time_zone = "Asia/Kolkata"
    alice.save()
    client = signed_in(alice)
    # A range that begins and ends in the middle of a minute, across a midnight over there.
    chosen = {"start": "2026-03-10T11:59:30Z", "end": "2026-03-11T12:00:30Z"}
    store(gateway, event(created_at=NOON + timedelta(hours=7), cost=Decimal("0.5")))
    page = text(get(client, **chosen, compare=by))
    found = lines(page)
    assert sum(cost for _label, cost, _requests in found) == Decimal("0.58")
    for label, cost, requests in found:
        if label.startswith("Without"):
            continue
        narrowed = client.get(link_of(page, label))
        assert Decimal(figures(narrowed)["cost"]) == cost
        assert figures(narrowed)["requests"] == str(requests)
        assert 'class="listing compare"' not in text(narrowed)


@pytest.mark.usefixtures("records")
def test_the_view_is_kept_while_filters_change_and_left_by_one_link(alice_client: Client) -> None:
    page = text(get(alice_client, **DAY, compare="day", sort="-cost", model="claude"))
    pill = re.search(r'class="pill" href="([^"]+)"', page)
    assert pill
    assert "compare=day" in pill[1]
    assert "sort=-cost" in pill[1]
    assert '<input type="hidden" name="compare" value="day">' in page
    reset = re.search(r'id="reset" href="([^"]+)"', page)
    assert reset
    assert unescape(reset[1]) == f"{PAGE}?compare=day&sort=-cost"
    back = re.search(r'id="view-list" href="([^"]+)"', page)
    assert back
    assert "compare" not in back[1]
    assert "sort" not in back[1]


@pytest.mark.usefixtures("records")
def test_words_that_name_no_column_or_view_are_said_and_not_followed(alice_client: Client) -> None:
    page = text(get(alice_client, **DAY, compare="user_id", sort="password"))
    assert 'class="listing compare"' not in page
    assert "user_id is not one of the available choices" in page
    page = text(get(alice_client, **DAY, compare="model", sort="password"))
    assert lines(page)[0][0] == "claude"


def test_many_lines_are_added_up_below_the_first_hundred(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, *(event(model=f"m{number:03}", cost=Decimal(number)) for number in range(1, 131)))
    page = text(get(alice_client, **DAY, compare="model"))
    assert len(lines(page)) == compare.MOST_ROWS
    assert lines(page)[0][0] == "m130"
    others = page[page.index("All others") :]
    assert f"${sum(range(1, 31)):,}.0000" in others
    assert '<p class="visually-hidden" data-announce="130 lines">' in page


@pytest.mark.usefixtures("records")
def test_a_comparison_reads_sums_and_no_list(alice_client: Client) -> None:
    get(alice_client)  # notes the session's last use
    with CaptureQueriesContext(connection) as listing:
        get(alice_client, **DAY)
    for by in ("model", "token", "group", "day", "cause"):
        with CaptureQueriesContext(connection) as comparing:
            get(alice_client, **DAY, compare=by)
        # More: what tokens and groups were merged, once, and how long the calls of each line took.
        assert len(comparing) <= len(listing) + 4, by
