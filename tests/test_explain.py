"""Why can I not find it: each reason is said in its words, and what it offers mends it."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Gateway, User
from logs.models import Status, UsageRecord
from logs.selection import lookback
from tests.cast import event, just_now, signed_in, store
from tests.test_pasted import KEY
from tests.test_usage_tab import DAY, PAGE, get, listed, text

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

EMPTY = {"start": "2026-03-09T00:00", "end": "2026-03-09T06:00"}


def reasons(response: Answer) -> dict[str, str]:
    """Return the text of each reason on a page, by its kind."""
    found = re.findall(r'<li data-reason="(\w+)".*?<p>(.*?)</p>', text(response), re.DOTALL)
    return {kind: unescape(words) for kind, words in found}


def actions(response: Answer, kind: str) -> dict[str, str]:
    """Return where each action of a reason leads, by its label."""
    found = re.search(rf'<li data-reason="{kind}".*?</li>', text(response), re.DOTALL)
    assert found, f"no reason “{kind}” in {reasons(response)}"
    links = re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>([^<]+)</a>', found[0])
    return {label: unescape(url) for url, label in links}


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        event(request_id="ok-1", cost=Decimal("0.01"), token="prod"),
        event(request_id="ok-2", minutes=1, model="claude", cost=Decimal("0.5")),
        event(request_id="bad-1", minutes=2, status=Status.ERROR, http_status=500, token="test"),
        event(request_id="older", minutes=-60 * 24 * 20),
        event(user="bob@example.com", request_id="bobs", minutes=-60 * 24 + 1, model="bobs-model"),
    )


# --- Nothing matches the filters ---------------------------------------------------------------------------


@pytest.mark.usefixtures("records")
def test_outside_the_range_leads_to_the_nearest_day_and_to_all_time(alice_client: Client) -> None:
    response = get(alice_client, **EMPTY, model="gpt-5")
    assert reasons(response)["range"] == (
        "The other filters match 3 records outside the date range. Nearest: 2026-03-10, 2 records."
    )
    offered = actions(response, "range")
    nearest = alice_client.get(offered["Show that day"])
    assert listed(nearest) == ["bad-1", "ok-1"]
    assert listed(alice_client.get(offered["Search all time"])) == ["bad-1", "ok-1", "older"]


@pytest.mark.usefixtures("records")
def test_the_nearest_day_is_of_the_persons_zone_and_may_lie_before(alice: User) -> None:
    alice.time_zone = "Asia/Kolkata"
    alice.save()
    client = signed_in(alice)
    # NOON there is 17:30; twenty days before it is the 18th of February.
    response = get(client, start="2026-02-19T00:00", end="2026-02-20T00:00")
    assert "Nearest: 2026-02-18, 1 record." in reasons(response)["range"]
    assert listed(client.get(actions(response, "range")["Show that day"])) == ["older"]


@pytest.mark.usefixtures("records")
def test_records_of_the_same_hour_outside_the_range_are_the_nearest(alice_client: Client) -> None:
    response = get(alice_client, start="2026-03-10T12:10", end="2026-03-10T12:20")
    assert "Nearest: 2026-03-10, 3 records." in reasons(response)["range"]


@pytest.mark.usefixtures("records")
def test_a_filter_that_hides_them_is_named_and_taken_off(alice_client: Client) -> None:
    response = get(alice_client, **DAY, model="claude", status="error")
    page = text(response)
    assert "The filter by “Model” hides 1 record in this range." in page
    assert "The filter by “Status” hides 1 record in this range." in page
    offered = re.findall(r'<li data-reason="filter".*?<a [^>]*?href="([^"]+)"', page, re.DOTALL)
    assert [listed(alice_client.get(unescape(url))) for url in offered] == [["bad-1"], ["ok-2"]]


@pytest.mark.usefixtures("records")
def test_a_threshold_that_hides_them_is_named_and_taken_off(alice_client: Client) -> None:
    response = get(alice_client, **DAY, cost_min="9")
    assert "Cost from (USD)" in reasons(response)["filter"]
    assert len(listed(alice_client.get(actions(response, "filter")["Remove it"]))) == 3
    response = get(alice_client, **EMPTY, cost_min="0.2")
    assert "match 1 record outside" in reasons(response)["range"]
    assert listed(alice_client.get(actions(response, "range")["Show that day"])) == ["ok-2"]


@pytest.mark.usefixtures("records")
def test_counting_what_no_rollup_knows_is_bounded_and_says_so(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 2)
    assert "at least 1 record" in reasons(get(alice_client, **EMPTY, cost_min="0.2"))["range"]


@pytest.mark.usefixtures("records")
def test_filters_that_hide_them_only_together_are_taken_off_together(
    alice_client: Client, gateway: Gateway
) -> None:
    store(gateway, event(request_id="vip", group="vip", token="other", minutes=-60 * 24 * 40))
    response = get(alice_client, **DAY, group="vip", token="other")
    assert "No single filter hides them" in reasons(response)["filters"]
    assert listed(alice_client.get(actions(response, "filters")["Remove the filters"])) == [
        "bad-1",
        "ok-2",
        "ok-1",
    ]


@pytest.mark.usefixtures("records")
def test_range_and_filter_that_hide_them_only_together_are_both_taken_off(alice_client: Client) -> None:
    response = get(alice_client, **EMPTY, model="gpt-99")
    assert "Over all time, without filters: 4 records." in reasons(response)["both"]
    assert len(listed(alice_client.get(actions(response, "both")["Show all records"]))) == 4


@pytest.mark.usefixtures("records")
def test_a_range_turned_round_is_swapped(alice_client: Client) -> None:
    response = get(alice_client, start=DAY["end"], end=DAY["start"])
    assert reasons(response)["inverted"] == "The range ends before it starts."
    assert len(listed(alice_client.get(actions(response, "inverted")["Swap its ends"]))) == 3


@pytest.mark.usefixtures("records")
def test_a_range_older_than_what_is_kept_says_so(alice_client: Client) -> None:
    response = get(alice_client, start="2001-01-01T00:00", end="2001-02-01T00:00")
    assert "records are deleted after 84 months" in reasons(response)["retention"]
    assert len(listed(alice_client.get(actions(response, "retention")["Show what is kept"]))) == 4
    response = get(alice_client, start="2001-01-01T00:00", end="2026-02-01T00:00")
    assert reasons(response)["retention"].startswith("Part of the range is older")


@pytest.mark.usefixtures("records")
def test_a_call_of_just_now_may_still_be_under_way(alice_client: Client, gateway: Gateway) -> None:
    response = get(alice_client, range="1h")
    assert "a few seconds after the call ends" in reasons(response)["recent"]
    store(gateway, event(request_id="now", created_at=just_now()))
    assert listed(alice_client.get(actions(response, "recent")["Search again"])) == ["now"]
    assert "recent" not in reasons(get(alice_client, **EMPTY))


@pytest.mark.usefixtures("records")
def test_results_of_tasks_are_in_task_logs(alice_client: Client) -> None:
    response = get(alice_client, **EMPTY)
    assert "Task Logs" in reasons(response)["task"]
    assert alice_client.get(actions(response, "task")["Open Task Logs"]).status_code == 200


def test_a_page_beyond_the_end_leads_back_to_the_first(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(request_id="only"))
    response = get(alice_client, range="all", older=UsageRecord.objects.get().id)
    assert reasons(response) == {"page": "The filters match 1 record, but none on this page."}
    assert listed(alice_client.get(actions(response, "page")["Show the newest"])) == ["only"]


@pytest.mark.usefixtures("records")
def test_a_comparison_of_nothing_is_explained_too(alice_client: Client) -> None:
    response = get(alice_client, **EMPTY, compare="model")
    assert 'class="listing compare"' in text(alice_client.get(actions(response, "range")["Show that day"]))


@pytest.mark.usefixtures("records")
def test_others_records_count_nowhere(charlie: User, gateway: Gateway) -> None:
    store(gateway, event(user="charlie@example.com", request_id="own"))
    response = get(signed_in(charlie), **EMPTY, model="claude")
    assert "both" in reasons(response)
    assert "without filters: 1 record." in reasons(response)["both"]


@pytest.mark.usefixtures("records")
def test_explaining_costs_no_more_with_more_records(alice_client: Client, gateway: Gateway) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            get(alice_client, **EMPTY, model="gpt-5", status="error", cost_min="99")
        return len(captured)

    get(alice_client)  # notes the session's last use
    store(gateway, *(event(minutes=-number * 30) for number in range(1, 40)))
    before = queries()
    store(gateway, *(event(minutes=-number * 3) for number in range(1, 400)))
    assert queries() == before


# --- An ID that is found nowhere ---------------------------------------------------------------------------


def searched(client: Client, identifier: str) -> Answer:
    response = client.get(PAGE, {"request_id": identifier})
    assert response.status_code == 404
    return response


@pytest.mark.usefixtures("records")
def test_any_unknown_id_may_be_anothers_or_on_its_way_or_a_task_or_too_old(
    alice_client: Client, gateway: Gateway
) -> None:
    response = searched(alice_client, "req_0000000000")
    assert list(reasons(response)) == ["task", "account", "recent", "retention"]
    assert "Only calls made with your own tokens are listed here" in reasons(response)["account"]
    assert actions(response, "task")["Search Task Logs"].endswith("?task_id=req_0000000000")
    again = actions(response, "recent")["Search again"]
    store(gateway, event(request_id="req_0000000000"))
    assert listed(alice_client.get(again)) == ["req_0000000000"]


@pytest.mark.usefixtures("records")
def test_the_task_id_of_ones_own_call_leads_to_the_call(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(request_id="submitting", task_id="task_12345678"))
    store(gateway, event(user="bob@example.com", request_id="bobs-call", task_id="task_87654321"))
    response = searched(alice_client, "task_12345678")
    assert "The request that submitted it has another ID" in reasons(response)["call"]
    assert listed(alice_client.get(actions(response, "call")["Show the request"])) == ["submitting"]
    assert "call" not in reasons(searched(alice_client, "task_87654321"))


@pytest.mark.usefixtures("records")
def test_a_records_own_number_leads_to_it(alice_client: Client) -> None:
    mine = UsageRecord.objects.get(request_id="ok-1").id
    response = searched(alice_client, f"https://console.example/records/usage/{mine}/")
    assert "not its request ID" in reasons(response)["record"]
    assert "ok-1" in text(alice_client.get(actions(response, "record")["Show the record"]))
    bobs = UsageRecord.objects.get(request_id="bobs").id
    assert "record" not in reasons(searched(alice_client, str(bobs)))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("kind", "name", "count"), [("model", "claude", 1), ("token", "test", 1), ("group", "default", 4)]
)
def test_a_name_is_offered_as_a_filter(alice_client: Client, kind: str, name: str, count: int) -> None:
    response = alice_client.get(PAGE, {"request_id": name, "range": "all"})
    assert "It is the name of" in reasons(response)[kind]
    assert len(listed(alice_client.get(actions(response, kind)["Filter by it"]))) == count
    assert "model" not in reasons(searched(alice_client, "bobs-model"))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("abc", "shorter than any request ID"),
        ("req_8f3a…9c21", "It is shortened"),
        ("alice@example.com", "an e-mail address"),
        ("https://api.example/v1/chat/completions", "no part of it is a request ID"),
    ],
)
def test_what_has_no_shape_of_an_id_is_said_and_cleared(alice_client: Client, typed: str, words: str) -> None:
    response = searched(alice_client, typed)
    assert words in reasons(response)["shape"]
    assert alice_client.get(actions(response, "shape")["Clear the search"]).status_code == 200


@pytest.mark.usefixtures("records")
def test_an_address_that_holds_an_id_is_searched_for_it(alice_client: Client) -> None:
    address = "https://console.example/records/usage/?request_id=ok-1"
    assert listed(get(alice_client, request_id=address)) == ["ok-1"]


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("typed", [KEY, f"Authorization: Bearer {KEY}"])
def test_a_key_is_neither_shown_nor_left_in_the_address(alice_client: Client, typed: str) -> None:
    response = alice_client.get(PAGE, {"request_id": typed, "model": "claude"})
    assert response.status_code == 302
    assert KEY not in response["Location"]
    response = alice_client.get(response["Location"])
    assert KEY not in text(response)
    assert "sk-…1234" in text(response)
    assert "This is an API key, not a request ID" in text(response)
    assert "neither here nor in this page" in reasons(response)["key"]
    assert list(reasons(response)) == ["key"]
    assert alice_client.get(actions(response, "key")["Clear the search"]).status_code == 200
    fragment = alice_client.get(f"{PAGE}results/", {"request_id": typed}, headers={"HX-Request": "true"})
    assert KEY not in text(fragment)
    assert KEY not in fragment["HX-Push-Url"]


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("kind", ["request", "task", "record"])
def test_a_strangers_id_reads_exactly_as_one_that_never_was(
    charlie: User, gateway: Gateway, kind: str
) -> None:
    store(gateway, event(request_id="req_aaaaaaaaaa", task_id="task_aaaaaaaa"))
    record = str(UsageRecord.objects.get(request_id="req_aaaaaaaaaa").id)
    existing = {"request": "req_aaaaaaaaaa", "task": "task_aaaaaaaa", "record": record}[kind]
    never = existing[:-4] + "beef"
    client = signed_in(charlie)

    def page(identifier: str) -> str:
        shown = text(searched(client, identifier)).replace(identifier, "ID")
        return re.sub(r'(csrfmiddlewaretoken" value="|x-csrftoken&quot;: &quot;)[^"&]+', r"\1", shown)

    assert page(existing) == page(never)


def test_the_first_visit_is_not_explained_away(alice_client: Client) -> None:
    assert "No records yet" in text(alice_client.get(PAGE))
