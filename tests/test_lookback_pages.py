"""What pages, the read API and exports say where no rollup knows the filters, and the way further back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client

from accounts.exports import exporting, jobs
from accounts.models import ApiToken, Export, Gateway, User
from logs import exports
from logs.models import Status, UsageRecord
from logs.selection import lookback
from routescope.exports import parts
from tests.cast import NOON, event, signed_in, store
from tests.test_read_api import reader
from tests.test_traffic import stats

pytestmark = pytest.mark.django_db
PAGE, API = "/records/usage/", "/api/v1/usage"
COSTLY = {"range": "all", "cost_min": "5"}
COSTS = [9, *[1] * 8, 9, *[1] * 25, 9, *[1] * 4]
"""Newest first. Ten are looked at: the costly ones are in the first look twice, then in the fourth."""


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 10)
    settings.READ_API_REQUESTS_PER_MINUTE = 100_000


@pytest.fixture
def records(alice: User, gateway: Gateway) -> list[str]:
    """Alice with forty records, a minute apart; returns the IDs of the costly ones, newest first."""
    store(
        gateway,
        *(
            event(
                request_id=f"call-{number:02}",
                created_at=NOON - number * timedelta(minutes=1, seconds=1),
                cost=Decimal(cost),
                model="gpt-5" if number % 2 else "claude",
                stream=cost == 9,
                endpoint="/v1/chat/completions" if cost == 9 else "/v1/embeddings",
            )
            for number, cost in enumerate(COSTS)
        ),
    )
    return [f"call-{number:02}" for number, cost in enumerate(COSTS) if cost == 9]


def listed(page: str) -> list[str]:
    return re.findall(r'class="c-id id" title="([^"]+)"', page)


def link(page: str, words: str) -> str:
    """Return where a link of these words leads without JavaScript."""
    found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>{words}<', page)
    assert found, words
    return unescape(found[1])


def fetched(page: str) -> str:
    """Return what the link further back fetches where there is JavaScript."""
    found = re.search(r'id="look-further"[^>]*hx-get="([^"]+)"', page)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize("query", [{"cost_min": "5"}, {"stream": "yes"}, {"endpoint": "chat"}])
def test_a_page_says_of_which_records_it_is(
    alice_client: Client, records: list[str], query: dict[str, str]
) -> None:
    answer = alice_client.get(PAGE, {"range": "all", **query})
    page = answer.content.decode()
    assert listed(page) == records[:2]
    assert stats(answer)["requests"][0] == "2"
    assert "<b>the newest 10 records</b> in the range, back to 2026-03-10 11:50:51." in page
    assert "2 of the newest 10 records" in page, "the pager, which is announced too"
    assert 'aria-describedby="newest-note"' in page
    assert 'id="page-older"' not in page


def test_what_fits_is_exact_and_says_nothing(
    alice_client: Client, records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", len(COSTS))
    page = alice_client.get(PAGE, COSTLY).content.decode()
    assert listed(page) == records
    assert "newest" not in re.sub(r"newest first", "", page)
    assert "look-further" not in page


def test_looking_further_keeps_what_was_found(alice_client: Client, records: list[str]) -> None:
    page = alice_client.get(PAGE, COSTLY).content.decode()
    found, said = listed(page), []
    for _ in range(3):
        page = alice_client.get(fetched(page), headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in page and "<thead" not in page
        found += listed(page)
        said += re.findall(r'data-announce="([^"]+)"', page)
    assert found == records
    assert said[0] == "Searched 10 records further back, to 2026-03-10 11:40:41: 0 found."
    assert said[-1] == "1 more found. The whole range was searched."
    assert "look-further" not in page
    assert "Tuesday" not in page, "the day's heading stands already"


def test_without_javascript_every_step_is_a_page(alice_client: Client, records: list[str]) -> None:
    page = alice_client.get(PAGE, COSTLY).content.decode()
    found = listed(page)
    url = link(page, "Search further back")
    for _ in range(2):
        answer = alice_client.get(url)
        page = answer.content.decode()
        assert stats(answer)["requests"][0] == "2", "the header stays what it says it is"
        assert "None found yet" in page
        assert 'id="look-further"' in page, "focus stays on it from step to step"
        assert re.search(r'data-announce="None found yet. Searched 10 records further back', page)
        url = link(page, "Search further back")
    page = alice_client.get(url).content.decode()
    assert found + listed(page) == records
    newer = link(page, '<span class="icon icon-left" aria-hidden="true"></span>Newer')
    assert listed(alice_client.get(newer).content.decode()) == [], "nothing in the ten before"
    assert listed(alice_client.get(link(page, "Newest")).content.decode()) == records[:2]


def test_other_filters_leave_what_is_looked_at(alice_client: Client, records: list[str]) -> None:
    page = alice_client.get(PAGE, {**COSTLY, "model": "gpt-5"}).content.decode()
    assert "<b>the newest 10 records</b> that match the other filters, back to 2026-03-10 11:40:41." in page
    assert listed(page) == [one for one in records[:2] if int(one[-2:]) % 2]


def test_none_of_the_newest_is_not_none_at_all(alice_client: Client, records: list[str]) -> None:
    query = {"range": "all", "cost_min": "5", "end": ""}
    UsageRecord.objects.filter(request_id__in=records[:2]).update(cost=0)
    page = alice_client.get(PAGE, query).content.decode()
    assert "None of the newest records match" in page
    assert "Searched the newest 10 records, back to 2026-03-10 11:50:51." in page
    assert "No records match" not in page
    compared = alice_client.get(PAGE, {**query, "compare": "model"}).content.decode()
    assert "compare" not in link(compared, "Search further back")


def test_the_lines_of_a_comparison_lead_to_exactly_their_records(
    alice_client: Client, records: list[str]
) -> None:
    query = {"range": "all", "cost_max": "5", "compare": "model"}
    page = alice_client.get(PAGE, query).content.decode()
    assert "the newest 10 records</b>" in page
    lines = re.findall(r'data-line="([^"]+)" data-cost="[^"]+" data-requests="(\d+)"', page)
    assert sum(int(requests) for _, requests in lines) == 8
    for label, requests in lines:
        found = re.search(rf'data-line="{label}".*?<a href="([^"]+)"', page, re.DOTALL)
        assert found
        there = alice_client.get(unescape(found[1]))
        assert stats(there)["requests"][0] == requests
        assert len(listed(there.content.decode())) == int(requests)


def test_new_records_are_counted_within_the_bound(
    alice_client: Client, records: list[str], django_assert_max_num_queries: Any
) -> None:
    oldest = UsageRecord.objects.order_by("id").first()
    assert oldest is not None
    news = f"{PAGE}news/"
    assert "2 new records" in alice_client.get(news, {**COSTLY, "since": str(oldest.id)}).content.decode()
    assert alice_client.get(news, {**COSTLY, "since": "f" * 32}).status_code == 404
    rare = {"range": "all", "model": "claude", "since": str(oldest.id)}
    assert "20 new records" in alice_client.get(news, rare).content.decode()


def test_explaining_an_empty_range_never_looks_without_end(alice_client: Client, records: list[str]) -> None:
    query = {"start": "2026-03-11T00:00", "end": "2026-03-12T00:00", "cost_min": "5"}
    assert "at least 2 records" in alice_client.get(PAGE, query).content.decode()


def test_a_tokens_limits_are_held_against_a_bounded_number_of_calls(
    alice_client: Client, records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ApiToken.objects.update(rpm_limit=0)
    monkeypatch.setattr("logs.rollups.token_limits.MOST_CALLS", 10)
    page = alice_client.get(f"{PAGE}limits/", {"token": "prod", "range": "all"}).content.decode()
    assert page.count("data-minute=") == 10
    assert "<b>the newest 10 records</b> in the range" in page


def test_hours_whose_records_are_gone_are_no_step_of_their_own(
    alice_client: Client, gateway: Gateway, records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums outlive their records."""
    old = [event(created_at=NOON - timedelta(days=day), cost=Decimal(1)) for day in range(30, 36)]
    store(gateway, *old, event(created_at=NOON - timedelta(days=60), request_id="oldest", cost=Decimal(9)))
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM usage_record WHERE request_id = ANY(%s)", [[one.request_id for one in old]]
        )
    monkeypatch.setattr(lookback, "MOST_RECORDS", len(COSTS))
    monkeypatch.setattr(lookback, "MOST_SPANS", 2)
    page = alice_client.get(PAGE, {**COSTLY, "token": "prod"}).content.decode()
    assert listed(page) == records
    there = alice_client.get(link(page, "Search further back")).content.decode()
    assert listed(there) == ["oldest"]


# --- Read API --------------------------------------------------------------------------------------------


def test_the_api_says_how_far_it_looked_and_goes_on(alice: User, records: list[str]) -> None:
    api = reader(alice)
    url: str | None = f"{API}?range=all&cost_min=5"
    found: list[str] = []
    looked = []
    while url:
        body = api.get(url).json()
        found += [row["request_id"] for row in body["data"]]
        looked.append(body["looked_at"])
        url = body["next"]
    assert found == records
    assert looked[0] == {"records": 10, "back_to": "2026-03-10T11:50:51Z"}
    assert looked[-1] is None
    assert len(looked) == 4
    assert api.get(f"{API}?range=all&cost_min=5&limit=1").json()["looked_at"] is None, "a full page"


def test_the_apis_sums_say_of_which_records_they_are(alice: User, records: list[str]) -> None:
    api = reader(alice)
    for path in ("statistics", "breakdown", "series"):
        body = api.get(f"{API}/{path}?range=all&cost_min=5").json()
        assert body["of_newest"] == {"records": 10, "back_to": "2026-03-10T11:50:51Z"}
        assert api.get(f"{API}/{path}?range=all&model=gpt-5").json()["of_newest"] is None
    assert api.get(f"{API}/statistics?range=all&cost_min=5").json()["totals"]["records"] == 2


# --- Exports ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.EXPORTS_DIR = tmp_path
    monkeypatch.setattr(jobs, "hand_over", lambda pk: True)
    monkeypatch.setattr(exports, "_LOOKS", 1)
    yield tmp_path


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("range=all&cost_min=5", [0, 9, 35]),
        ("range=all&cost_max=5", [n for n, cost in enumerate(COSTS) if cost < 9]),
        ("range=all&cost_min=500", []),
        ("range=all&model=gpt-5", list(range(1, len(COSTS), 2))),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx", "jsonl"])
def test_an_export_holds_exactly_all_matches(
    alice: User,
    records: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    numbers: list[int],
    form: str,
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 7)
    export = exporting.ask(alice, "usage", form, ["request_id"], QueryDict(query), gzipped=False)
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE
    assert (export.rows, export.expected_rows, export.agrees) == (len(numbers), len(numbers), True)
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(export.path.read_text("utf-8-sig"))))
        assert [row["request_id"] for row in rows] == [f"call-{number:02}" for number in numbers]


def test_an_export_is_heard_of_however_rare_its_rows_are(
    alice: User, records: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    tell = exporting._tell

    def noted(export: Export, **more: object) -> None:
        told.append(more)
        tell(export, **more)

    monkeypatch.setattr(exporting, "_tell", noted)
    export = exporting.ask(
        alice, "usage", "csv", ["request_id"], QueryDict("range=all&cost_min=500"), gzipped=False
    )
    assert exporting.run(export.pk)
    # Forty records in looks of ten: counted and looked through, each time four looks and a sign after each.
    assert len([more for more in told if more == {}]) >= 4
    assert len([more for more in told if more == {"rows": 0}]) >= 4


def test_an_interrupted_export_sees_what_came_into_an_empty_stretch(
    alice: User, records: list[str], folder: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting.ask(
        alice, "usage", "csv", ["request_id"], QueryDict("range=all&cost_min=5"), gzipped=False
    )

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("The worker is gone.")

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "join", die)
        patch.setattr(exporting, "_fail", lambda *_: None)
        exporting.run(export.pk)
    late = event(
        request_id="late", created_at=NOON - timedelta(minutes=15, seconds=30), cost=Decimal(9), model="gpt-5"
    )
    store(gateway, late)
    Export.objects.update(heard_at=NOON)
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.path.read_text("utf-8-sig").split() == ["request_id", *records[:2], "late", records[2]]


def test_the_page_that_asks_for_an_export_counts_no_more_than_the_header(
    alice_client: Client, records: list[str]
) -> None:
    page = alice_client.get("/exports/new/", {"source": "usage", **COSTLY}).content.decode()
    assert "At least 2 rows" in page
    assert "The export covers the whole range." in page


# --- Isolation -------------------------------------------------------------------------------------------


def test_a_stranger_finds_nothing_of_it(charlie: User, gateway: Gateway, records: list[str]) -> None:
    store(gateway, event("charlie@example.com", request_id="own", status=Status.SUCCESS, cost=Decimal(1)))
    client = signed_in(charlie)
    older = UsageRecord.objects.get(request_id="call-00").id
    for path in (PAGE, f"{PAGE}results/", f"{PAGE}further/"):
        page = client.get(path, {**COSTLY, "older": str(older)}).content.decode()
        assert listed(page) == []
        assert "call-" not in page
