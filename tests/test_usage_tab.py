"""Usage Logs over HTTP: filters, figures, search by ID, details, isolation."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Gateway, User
from logs.models import RecordType, Status, UsageRecord
from logs.models.events import Failure
from tests.cast import event, just_now, signed_in, store

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

PAGE = "/records/usage/"
DAY = {"start": "2026-03-10T00:00", "end": "2026-03-11T00:00"}


def text(response: Answer) -> str:
    return response.content.decode()


def figures(response: Answer) -> dict[str, str]:
    return dict(re.findall(r'data-stat="(\w+)" data-value="([^"]*)"', text(response)))


def listed(response: Answer) -> list[str]:
    return re.findall(r'class="c-id id" title="([^"]+)"', text(response))


def get(client: Client, **query: Any) -> Answer:
    return client.get(PAGE, query)


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        event(request_id="ok-1", minutes=0, cost=Decimal("0.0100"), cached_tokens=40),
        event(request_id="ok-2", minutes=1, cost=Decimal("0.000000000001"), model="claude", group="vip"),
        event(
            request_id="bad-1",
            minutes=2,
            token="test",
            status=Status.ERROR,
            http_status=400,
            error=Failure(
                type="invalid_request_error", message="temperature is too high", param="temperature"
            ),
            parameters={"temperature": 9},
            cost=Decimal(0),
            input_tokens=7,
            output_tokens=0,
        ),
        event(
            request_id="ok-1",
            minutes=30,
            type=RecordType.REFUND,
            cost=Decimal("-0.0040"),
            input_tokens=0,
            output_tokens=0,
        ),
        event(request_id="yesterday", minutes=-24 * 60, cost=Decimal(5)),
    )


@pytest.mark.usefixtures("records")
def test_the_header_is_the_sum_of_the_listed_rows(alice_client: Client) -> None:
    response = get(alice_client, **DAY)
    assert listed(response) == ["ok-1", "bad-1", "ok-2", "ok-1"]
    assert (
        figures(response).items()
        >= {
            "cost": "0.006000000001",
            "requests": "3",
            "errors": "1",
            "input_tokens": "207",
            "output_tokens": "40",
            "cached_tokens": "40",
        }.items()
    )
    assert figures(response)["refund_records"] == "1"
    assert "1 refund -$0.004" in text(response)
    assert "adjustment_records" not in figures(response)


def test_adjustments_are_named_beside_the_calls(alice_client: Client, gateway: Gateway) -> None:
    more: dict[str, Any] = {"type": RecordType.ADJUSTMENT, "input_tokens": 0, "output_tokens": 0}
    store(
        gateway,
        event(cost=Decimal(1)),
        event(cost=Decimal("0.25"), minutes=1, **more),
        event(cost=Decimal("-0.05"), minutes=2, **more),
    )
    response = get(alice_client, **DAY)
    assert {"requests": "1", "adjustment_records": "2", "cost": "1.2"}.items() <= figures(response).items()
    assert "2 adjustments $0.20" in text(response)


@pytest.mark.usefixtures("records")
def test_records_of_a_type(alice_client: Client) -> None:
    response = get(alice_client, **DAY, type="refund")
    assert figures(response)["requests"] == "0"
    assert figures(response)["refund_records"] == "1"
    assert len(listed(response)) == 1
    assert "Record type: Refund" in text(response)
    both = get(alice_client, **DAY, type=["refund", "request"])
    assert len(listed(both)) == len(listed(get(alice_client, **DAY)))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("query", "found", "calls"),
    [
        ({"model": "claude"}, ["ok-2"], 1),
        ({"model": ["claude", "gpt-5"], "status": "error"}, ["bad-1"], 1),
        ({"token": "test"}, ["bad-1"], 1),
        ({"group": "vip"}, ["ok-2"], 1),
        ({"status": "error"}, ["bad-1"], 1),
        ({"status": "success", "token": "prod"}, ["ok-1", "ok-2", "ok-1"], 2),
        ({"token": "nobody-has-this"}, [], 0),
        ({"start": "2026-03-10T12:01", "end": "2026-03-10T12:02"}, ["ok-2"], 1),
        ({"start": "2026-03-10T12:02Z", "end": ""}, ["ok-1", "bad-1"], 1),
        ({"range": "all"}, ["ok-1", "bad-1", "ok-2", "ok-1", "yesterday"], 4),
    ],
)
def test_filters_narrow_list_and_header_together(
    alice_client: Client, query: dict[str, Any], found: list[str], calls: int
) -> None:
    response = get(alice_client, **{**DAY, **query})
    assert listed(response) == found
    assert figures(response)["requests"] == str(calls)


@pytest.mark.usefixtures("records")
def test_times_are_read_and_shown_in_the_persons_zone(alice: User, alice_client: Client) -> None:
    alice.time_zone = "Asia/Kolkata"
    alice.save()
    response = get(alice_client, start="2026-03-10T17:30", end="2026-03-10T17:31")
    assert listed(response) == ["ok-1"]
    assert "17:30:00.000" in text(response)
    assert "UTC+05:30 Kolkata" in text(response)


@pytest.mark.usefixtures("records")
def test_filters_are_pills_that_can_be_taken_off(alice_client: Client) -> None:
    response = get(alice_client, **DAY, model=["claude", "gpt-5"], status="error")
    pills = re.findall(r'class="pill" href="([^"]+)"', text(response))
    assert [parse_qs(urlsplit(pill.replace("&amp;", "&")).query).get("model") for pill in pills] == [
        ["gpt-5"],
        ["claude"],
        ["claude", "gpt-5"],
    ]


@pytest.mark.usefixtures("records")
def test_what_cannot_be_used_is_said(alice_client: Client) -> None:
    page = text(get(alice_client, start="soon", model="gpt-99", status="odd"))
    assert "“soon” is not a time" in page
    assert "no records of a model called “gpt-99”" in page
    assert "odd" in page
    assert "ends before it starts" in text(
        get(alice_client, start="2026-03-11T00:00", end="2026-03-10T00:00")
    )


@pytest.mark.usefixtures("records")
def test_the_fragment_puts_the_pages_own_canonical_url_into_the_address_bar(alice_client: Client) -> None:
    response = alice_client.get(
        f"{PAGE}results/",
        {"model": ["claude", ""], "range": "all", "start": "", "request_id": ""},
        headers={"HX-Request": "true"},
    )
    assert response["HX-Push-Url"] == f"{PAGE}?range=all&model=claude"
    assert "<title>Usage Logs" in text(response)
    assert "<html" not in text(response)


@pytest.mark.usefixtures("records")
def test_a_time_that_is_typed_wins_over_the_preset_that_the_form_was_shown_with(alice_client: Client) -> None:
    response = alice_client.get(
        f"{PAGE}results/", {"shown_range": "24h", "start": "2026-03-10T00:00"}, headers={"HX-Request": "true"}
    )
    assert response["HX-Push-Url"] == f"{PAGE}?start=2026-03-10T00%3A00"
    blank = alice_client.get(
        f"{PAGE}results/", {"shown_range": "7d", "start": "", "end": ""}, headers={"HX-Request": "true"}
    )
    assert blank["HX-Push-Url"] == f"{PAGE}?range=7d"


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "pasted", ["bad-1", "  bad-1 ", '"bad-1"', "Error code: 400 (request id: bad-1)", "x-request-id: bad-1,"]
)
def test_a_request_id_is_found_whatever_the_range_and_however_it_was_pasted(
    alice_client: Client, pasted: str
) -> None:
    response = get(alice_client, request_id=pasted, range="1h", model="claude")
    assert response.status_code == 200
    assert listed(response) == ["bad-1"]
    page = text(response)
    assert "temperature is too high" in page, "the one record stands open"
    assert "invalid_request_error" in page
    assert figures(response)["requests"] == "1"


def test_an_upstream_id_is_found_too(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(request_id="ours", upstream_request_id="theirs"))
    assert listed(get(alice_client, request_id="theirs")) == ["ours"]


@pytest.mark.usefixtures("records")
def test_a_request_and_its_refund_are_found_together(alice_client: Client) -> None:
    response = get(alice_client, request_id="ok-1")
    assert listed(response) == ["ok-1", "ok-1"]
    assert figures(response)["cost"] == "0.006"


@pytest.mark.usefixtures("records")
def test_the_permalink_leads_to_the_record_after_sign_in(alice: User) -> None:
    client = Client()
    response = client.get("/r/bad-1")
    assert response.status_code == 302
    sign_in = urlsplit(response["Location"])
    assert parse_qs(sign_in.query)["next"] == ["/r/bad-1"]
    response = client.post(
        response["Location"], {"login": "alice@example.com", "password": "alice-password"}, follow=True
    )
    assert response.redirect_chain[-1][0] == f"{PAGE}?request_id=bad-1"
    assert "temperature is too high" in text(response)


@pytest.mark.usefixtures("records")
def test_a_stranger_gets_404_on_every_way_to_a_record(charlie: User, bob: User, admin: User) -> None:
    record = UsageRecord.objects.get(request_id="bad-1")
    for user in (charlie, bob, admin):
        client = signed_in(user)
        for url in (
            "/r/bad-1",
            f"{PAGE}?request_id=bad-1",
            f"{PAGE}results/?request_id=bad-1",
            f"{PAGE}{record.id}/",
            f"{PAGE}{record.id}/details/",
        ):
            response = client.get(url)
            assert response.status_code == 404, url
            assert "temperature" not in text(response)
        response = client.get(PAGE, {"range": "all"})
        assert listed(response) == []
        assert figures(response)["requests"] == "0"


@pytest.mark.usefixtures("records")
def test_anothers_id_reads_exactly_as_one_that_never_existed(charlie: User) -> None:
    client = signed_in(charlie)

    def read(url: str, identifier: str) -> str:
        page = text(client.get(url + identifier)).replace(identifier, "ID")
        return re.sub(r'(csrfmiddlewaretoken" value="|x-csrftoken&quot;: &quot;)[^"&]+', r"\1", page)

    for url in (f"{PAGE}?request_id=", f"{PAGE}results/?request_id=", "/r/"):
        assert read(url, "bad-1") == read(url, "nob-1")


@pytest.mark.usefixtures("records")
def test_names_of_others_are_neither_offered_nor_confirmed(charlie: User, gateway: Gateway) -> None:
    store(gateway, event(user="charlie@example.com", model="own-model", created_at=just_now()))
    page = text(get(signed_in(charlie), model="claude"))
    assert "no records of a model called “claude”" in page
    assert 'value="gpt-5"' not in page
    assert 'value="own-model"' in page


def test_signed_out_people_are_led_to_sign_in_and_htmx_leads_the_whole_page(client: Client) -> None:
    assert client.get(PAGE).status_code == 302
    response = client.get(
        f"{PAGE}results/",
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/records/usage/?model=x"},
    )
    assert "login" in response["HX-Redirect"]


def test_pages_follow_each_other_without_gap_or_overlap(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, *(event(request_id=f"r{number:03}", minutes=number) for number in range(120)))
    first = get(alice_client, range="all")
    older = re.search(r'rel="next" href="([^"]+)"', text(first))
    assert older
    second = alice_client.get(older[1].replace("&amp;", "&"))
    newer = re.search(r'rel="prev" href="([^"]+)"', text(second))
    assert newer
    assert [*listed(first), *listed(second)] == [f"r{number:03}" for number in range(119, 19, -1)]
    assert listed(alice_client.get(newer[1].replace("&amp;", "&"))) == listed(first)
    assert "120 records" in text(first)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "cursor", ["ffffffff-ffff-ffff-ffff-ffffffffffff", "x", "00000000-0000-0000-0000-000000000000"]
)
@pytest.mark.parametrize("name", ["older", "newer"])
def test_a_cursor_that_nobody_made_breaks_nothing(alice_client: Client, name: str, cursor: str) -> None:
    for query in ({}, {"model": "gpt-5"}):
        assert get(alice_client, range="all", **{name: cursor}, **query).status_code == 200


def test_details_show_what_a_record_holds_and_escape_it(alice_client: Client, gateway: Gateway) -> None:
    store(
        gateway,
        event(
            request_id="full",
            duration_ms=2310,
            ttft_ms=310,
            output_tokens=200,
            reasoning_tokens=150,
            cost=Decimal("0.0000000125"),
            status=Status.ERROR,
            error=Failure(type="t", message="<script>alert(1)</script>"),
            attempts=[
                {"channel": "a", "status": "error", "http_status": 502},
                {"channel": "b", "status": "success"},
            ],
            metadata={"team": "search"},
        ),
    )
    record = UsageRecord.objects.get()
    page = text(alice_client.get(f"{PAGE}{record.id}/"))
    for shown in ("2.31 s", "310 ms", "100.0 tokens/s", "$0.0000000125", "Attempt 2", "search"):
        assert shown in page
    assert "<script>alert" not in page
    fragment = text(alice_client.get(f"{PAGE}{record.id}/details/"))
    assert fragment.strip().startswith("<tr")


def test_an_unknown_record_is_404(alice_client: Client) -> None:
    assert alice_client.get(f"{PAGE}{uuid4()}/").status_code == 404


def test_the_first_visit_says_how_to_point_a_gateway_here(alice_client: Client) -> None:
    page = text(alice_client.get(PAGE))
    assert "No records yet" in page
    assert "/api/v1/usage" in page


@pytest.mark.usefixtures("records")
def test_an_empty_result_offers_the_way_out(alice_client: Client) -> None:
    page = text(get(alice_client, range="1h", status="error"))
    assert "No records match" in page
    assert "range=all&amp;status=error" in page or "status=error&amp;range=all" in page


def test_queries_per_page_are_constant(alice_client: Client, gateway: Gateway) -> None:
    def queries(count: int) -> int:
        store(gateway, *(event(minutes=number, model=f"m{number % 9}") for number in range(count)))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            get(alice_client, range="all")
        for query in captured:
            # What is counted in the records is a stretch of time, for the chart: never the list.
            if "usage_record" in query["sql"] and "count(" in query["sql"].lower():
                assert '"usage_record"."id" >= ' in query["sql"]
        # A minute later the session's last use is noted again, and two seconds later notices are asked for.
        again = ("usersession", "routescope_cache")
        return sum(not any(one in query["sql"] for one in again) for query in captured)

    get(alice_client)  # notes the session's last use
    assert queries(5) == queries(300) <= 19
