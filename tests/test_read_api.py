"""The read API over HTTP: who may read what, the page's numbers, pages, limits, problems, its document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import TimeMachineFixture

from accounts.access import personal_tokens
from accounts.models import Gateway, PersonalAccessToken, User
from logs.models import RecordType, Status, UsageRecord
from routescope.rest.document import document
from tests.cast import NOON, event, just_now, signed_in, store
from tests.task_cast import a_task
from tests.test_agreement import GROUPS, MODELS, TOKENS, _random_event

USAGE = "/api/v1/usage"
DAY = {"start": "2026-03-10T00:00:00Z", "end": "2026-03-11T00:00:00Z"}


def reader(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {personal_tokens.issue(user, 'test', 30)[1]}"})


@pytest.fixture
def api(alice: User) -> Client:
    return reader(alice)


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> None:
    settings.READ_API_REQUESTS_PER_MINUTE = 100_000


@pytest.fixture
def records(gateway: Gateway, alice: User, bob: User) -> None:
    store(
        gateway,
        event(request_id="ok-1", cost=Decimal("0.0100"), cached_tokens=40, created_at=NOON),
        event(request_id="ok-2", minutes=1, cost=Decimal("0.000000000001"), model="claude"),
        event(request_id="bad-1", minutes=2, status=Status.ERROR, http_status=429, cost=Decimal(0)),
        event(request_id="ok-1", minutes=30, type=RecordType.REFUND, cost=Decimal("-0.0040")),
        event("bob@example.com", request_id="bobs", minutes=3, cost=Decimal(7)),
    )


# --- Who may read --------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_told(client: Client, ingest_key: str, records: None) -> None:
    keys = {"": {}, "unknown": {"Authorization": "Bearer rsp_x"}, "odd": {"Authorization": "Bearer \udcff"}}
    for headers in (*keys.values(), {"Authorization": f"Bearer {ingest_key}"}):
        answer = client.get(USAGE, headers=headers)
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_session_alone_reads_nothing(alice_client: Client) -> None:
    assert alice_client.get(USAGE).status_code == 401


def test_expired_and_revoked_tokens_and_barred_people_are_refused(api: Client, alice: User) -> None:
    assert api.get(USAGE).status_code == 200
    token = PersonalAccessToken.objects.get()
    assert token.last_used_at is not None
    PersonalAccessToken.objects.update(expires_at=timezone.now())
    assert api.get(USAGE).status_code == 401
    PersonalAccessToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    User.objects.update(is_active=False)
    assert api.get(USAGE).status_code == 401
    User.objects.update(is_active=True)
    personal_tokens.revoke(alice, token.pk)
    assert api.get(USAGE).status_code == 401


def test_a_read_token_writes_nothing(api: Client) -> None:
    for path in (USAGE, "/api/v1/tasks"):
        assert api.post(path, [{}], content_type="application/json").status_code == 401
    assert api.patch("/api/v1/tasks/x", {}, content_type="application/json").status_code == 401
    assert not UsageRecord.objects.exists()


def test_a_stranger_sees_nothing_by_filter_cursor_or_id(
    records: None, charlie: User, alice: User, gateway: Gateway
) -> None:
    task = a_task(alice, gateway, request_id="ok-1")
    stranger = reader(charlie)
    rows = UsageRecord.objects.all()
    queries = [
        {"range": "all"},
        {"range": "all", "token": "prod"},
        {"range": "all", "model": "gpt-5"},
        {"request_id": "ok-1"},
        *({"range": "all", side: str(row.id)} for row in rows for side in ("older", "newer")),
    ]
    for query in queries:
        assert stranger.get(USAGE, query).json()["data"] == []
    for row in rows:
        missing = stranger.get(f"{USAGE}/{row.id}")
        assert missing.status_code == 404
        assert missing.content == stranger.get(f"{USAGE}/{task.id}").content
    assert stranger.get(f"{USAGE}/statistics", {"range": "all"}).json()["totals"]["records"] == 0
    for by in ("model", "token", "group", "day", "cause"):
        assert stranger.get(f"{USAGE}/breakdown", {"range": "all", "by": by}).json()["lines"] == []
    assert stranger.get(f"{USAGE}/series", {"range": "all"}).json()["buckets"] == []
    for query in ({"range": "all"}, {"task_id": task.task_id}, {"task_id": "ok-1"}):
        assert stranger.get("/api/v1/tasks", query).json()["data"] == []
    for name in (task.task_id, task.id):
        assert stranger.get(f"/api/v1/tasks/{name}").status_code == 404


# --- The page's numbers --------------------------------------------------------------------------------


def test_records_say_money_as_strings_and_times_in_utc(api: Client, records: None, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    data = api.get(USAGE, DAY).json()["data"]
    assert [(row["request_id"], row["cost"]) for row in data] == [
        ("ok-1", "-0.004"),
        ("bad-1", "0"),
        ("ok-2", "0.000000000001"),
        ("ok-1", "0.01"),
    ]
    assert data[3]["created_at"] == "2026-03-10T12:00:00Z"
    assert data[1]["status"] == "error"
    assert data[1]["cause"] == "rate_limit"
    detail = api.get(f"{USAGE}/{data[3]['id']}").json()
    assert detail["receipt"]["total"] == "0.01"
    assert sum(Decimal(line["amount"]) for line in detail["receipt"]["lines"]) == Decimal("0.01")
    assert api.get(f"{USAGE}/{data[1]['id']}").json()["verdict"]["cause"] == "rate_limit"


def _random_query(random: Random) -> dict[str, Any]:
    query: dict[str, Any] = {}
    if random.random() < 0.2:
        query["range"] = random.choice(["all", "90d", "today"])
    else:
        for name, first, last in (("start", -600, 2 * 1440), ("end", 1440, 6 * 1440)):
            if random.random() < 0.8:
                moment = NOON + timedelta(minutes=random.randrange(first, last))
                query[name] = moment.strftime("%Y-%m-%dT%H:%MZ")
    for name, values in (("token", TOKENS), ("model", MODELS), ("group", GROUPS)):
        if random.random() < 0.3:
            query[name] = random.sample([*values, "nobody's"], 2)
    if random.random() < 0.3:
        query["status"] = [random.choice(["success", "error"])]
    if random.random() < 0.2:
        query["cause"] = ["rate_limit", "parameters"]
    if random.random() < 0.2:
        query["cost_min"] = "0.0003"
    if random.random() < 0.2:
        query["tokens_max"] = "2500"
    return query


def test_for_100_random_filter_sets_the_statistics_are_the_header(
    alice: User, gateway: Gateway, time_machine: TimeMachineFixture
) -> None:
    # A range that ends now must end at the same minute for the page and for the API.
    time_machine.move_to(NOON + timedelta(days=5), tick=False)
    random = Random(11)
    store(gateway, *(_random_event(random, "alice@example.com") for _ in range(500)), ties=True)
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Kolkata")
    page, api = signed_in(User.objects.get(pk=alice.pk)), reader(alice)
    told = 0
    for _ in range(100):
        query = urlencode(_random_query(random), doseq=True)
        shown = dict(
            re.findall(
                r'data-stat="(\w+)" data-value="([^"]*)"',
                page.get(f"/records/usage/?{query}").content.decode(),
            )
        )
        answer = api.get(f"{USAGE}/statistics?{query}").json()
        totals = answer["totals"]
        for name in ("cost", "requests", "errors", "input_tokens", "output_tokens", "cached_tokens"):
            assert str(totals[name]) == shown[name], (query, name)
        for name in ("rpm", "tpm"):
            if f"now_{name}" in shown:
                assert str(answer[name]["now"]) == shown[f"now_{name}"]
                assert answer[name]["average"] == shown[f"avg_{name}"]
                peak = answer[name]["peak"]
                assert (str(peak["value"]) if peak else None) == shown.get(f"peak_{name}")
        told += totals["records"] > 0
        listed = list(_walk(api, query))
        assert len(listed) == totals["records"]
        assert sum(Decimal(row["cost"] or 0) for row in listed) == Decimal(totals["cost"])
        by = random.choice(["model", "token", "group", "day", "cause"])
        lines = api.get(f"{USAGE}/breakdown?{query}&by={by}").json()["lines"]
        assert sum(line["totals"]["records"] for line in lines) == totals["records"]
        assert sum(Decimal(line["totals"]["cost"]) for line in lines) == Decimal(totals["cost"])
        buckets = api.get(f"{USAGE}/series?{query}").json()["buckets"]
        assert sum(bucket["requests"] for bucket in buckets) == totals["requests"]
    assert told > 50


def _walk(api: Client, query: str) -> Iterator[dict[str, Any]]:
    url = f"{USAGE}?{query}&limit=200"
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        yield from page["data"]
        url = page["next"]


def test_pages_follow_each_other_through_the_same_range(api: Client, gateway: Gateway, alice: User) -> None:
    now = timezone.now()
    events = [event(created_at=now - timedelta(minutes=n)) for n in range(23)]
    store(gateway, *events)
    seen: list[str] = []
    url: str = f"{USAGE}?limit=5"
    while url:
        page = api.get(url).json()
        seen += [row["request_id"] for row in page["data"]]
        store(gateway, event(created_at=just_now()))
        url = page["next"]
    assert seen == [one.request_id for one in events]


def test_a_range_of_centuries_is_answered_like_all_time(api: Client, records: None) -> None:
    wide = {"start": "0000-02-29T00:00:00Z", "end": "9999-12-31T23:59:60+00:00"}
    totals = api.get(f"{USAGE}/statistics", {"range": "all"}).json()["totals"]
    assert api.get(f"{USAGE}/statistics", wide).json()["totals"] == totals
    assert len(api.get(f"{USAGE}/breakdown", {**wide, "by": "day"}).json()["lines"]) == 1


def test_tasks_are_listed_and_shown(api: Client, alice: User, gateway: Gateway) -> None:
    task = a_task(
        alice,
        gateway,
        status="failed",
        failure_message="flagged by moderation",
        cause="content_policy",
        cost=Decimal("1.5"),
    )
    a_task(alice, gateway, submitted_at=timezone.now() - timedelta(days=3))
    page = api.get("/api/v1/tasks", {"limit": 1}).json()
    assert [row["task_id"] for row in page["data"]] == [task.task_id]
    assert page["data"][0]["cost"] == "1.5"
    assert len(api.get(page["next"]).json()["data"]) == 1
    for query in ("status=failed", "cause=timeout&cause=content_policy"):
        found = api.get(f"/api/v1/tasks?{query}").json()["data"]
        assert [(row["id"], row["cause"]) for row in found] == [(str(task.id), "content_policy")]
    assert api.get("/api/v1/tasks?cause=timeout").json()["data"] == []
    for name in (task.id, task.task_id):
        assert api.get(f"/api/v1/tasks/{name}").json()["cause"] == "content_policy"


# --- Problems, limits, conditions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("modle=gpt-5", "modle"),
        ("limit=0", "limit"),
        ("limit=9999", "limit"),
        ("limit=5&limit=6", "limit"),
        ("range=2d", "range"),
        ("status=ok", "status"),
        ("status=", "status"),
        ("start=yesterday", "start"),
        ("start=2026-02-30T00:00:00Z", "start"),
        ("cost_min=1e400", "cost_min"),
        ("cost_min=NaN", "cost_min"),
        ("older=5", "older"),
        ("endpoint=%00", "endpoint"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(api: Client, query: str, parameter: str) -> None:
    answer = api.get(f"{USAGE}?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_over_the_limit_all_tokens_of_a_person_wait(
    api: Client, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PostgreSQL counts by its own clock, which stands still within the test's transaction.
    monkeypatch.setattr(
        personal_tokens,
        "_COUNT",
        personal_tokens._COUNT.replace("clock_timestamp()", "transaction_timestamp()"),
    )
    settings.READ_API_REQUESTS_PER_MINUTE = 3
    answers = [api.get(USAGE) for _ in range(4)] + [reader(alice).get(USAGE)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    last = answers[-1]
    assert last.status_code == 429
    assert 1 <= int(last["Retry-After"]) <= 60
    assert (last["RateLimit-Limit"], last["RateLimit-Remaining"]) == ("3", "0")
    assert answers[0]["RateLimit-Remaining"] == "2"


def test_what_the_client_holds_already_is_not_sent_again(
    api: Client, records: None, gateway: Gateway
) -> None:
    first = api.get(USAGE, DAY)
    again = api.get(USAGE, DAY, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    store(gateway, event(minutes=5))
    assert api.get(USAGE, DAY, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_other_methods_and_paths_answer_problems(api: Client) -> None:
    answer = api.delete(USAGE)
    assert answer.status_code == 405
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
    for path in ("/api/v1/nowhere/", "/api/v1/tasks/a%0Ab", "/api/v1/usage/a/b"):
        missing = api.get(path)
        assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")
    assert api.head(USAGE).status_code == 200


def test_the_database_away_is_a_503(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        from django.db import OperationalError

        raise OperationalError("gone")

    monkeypatch.setattr(personal_tokens, "count_request", away)
    answer = api.get(USAGE)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


# --- The document and the pages ------------------------------------------------------------------------


def test_the_document_names_every_path_of_the_api(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"
    assert client.get("/api/v1/openapi.json", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert set(document()["paths"]) == {
        USAGE,
        f"{USAGE}/statistics",
        f"{USAGE}/breakdown",
        f"{USAGE}/series",
        f"{USAGE}/{{id}}",
        "/api/v1/tasks",
        "/api/v1/tasks/{task_id}",
    }


def test_a_token_is_shown_once_and_revoked_by_its_owner_alone(
    alice_client: Client, charlie: User, client: Client
) -> None:
    page = alice_client.post("/profile/access-tokens/", {"name": "reports", "days": "30"})
    found = re.search(r"rsp_[\w-]{40,}", page.content.decode())
    assert found
    assert "no-store" in page["Cache-Control"]
    assert found[0] not in alice_client.get("/profile/access-tokens/").content.decode()
    assert found[0] not in str(PersonalAccessToken.objects.values())
    assert client.get(USAGE, headers={"Authorization": f"Bearer {found[0]}"}).status_code == 200
    path = f"/profile/access-tokens/{PersonalAccessToken.objects.get().pk}/revoke/"
    assert signed_in(charlie).post(path).status_code == 404
    assert alice_client.post(path).status_code == 302
    assert client.get(USAGE, headers={"Authorization": f"Bearer {found[0]}"}).status_code == 401


def test_a_person_has_a_bounded_number_of_tokens(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_tokens, "MOST", 1)
    for status in (200, 422):
        page = alice_client.post("/profile/access-tokens/", {"name": "n", "days": "7"})
        assert page.status_code == status


def test_the_page_shows_every_endpoint_with_what_to_paste(alice_client: Client) -> None:
    page = alice_client.get("/profile/read-api/").content.decode()
    for path in document()["paths"]:
        assert f"GET {path}</code>" in page
    assert page.count("Authorization: Bearer $ROUTESCOPE_TOKEN") == len(document()["paths"])
