"""What is answered past a limit of PostgreSQL, while a table is locked, or while PostgreSQL is away."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from unittest.mock import patch

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.access import personal_tokens
from accounts.models import Gateway, IngestKey, User
from logs.listing import own_records
from logs.models import UsageRecord
from routescope.data import limits, troubles
from routescope.data.limits import WorkLimits
from routescope.data.ranges import Preset
from routescope.data.troubles import Trouble
from tests.cast import NOON, event, store
from tests.locking import held
from tests.quick_limits import QUICK, run

USAGE = "/records/usage/"


@contextmanager
def hurried() -> Iterator[None]:
    """Pages and ingest with limits that a test can wait for, of the same order: a lock before a statement."""
    quick = WorkLimits(timedelta(seconds=2), timedelta(milliseconds=100), timedelta(seconds=5))
    with patch.object(limits, "PAGE", quick), patch.object(limits, "INGEST", quick):
        yield


# --- Pages, and all that is asked like one -----------------------------------------------------------------


@pytest.fixture
def client(alice: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


@contextmanager
def away() -> Iterator[None]:
    """Have no connection come about, as while the postmaster is dead: the socket is not there."""
    settings = connection.settings_dict
    connection.close()
    with patch.dict(settings, {"HOST": "/nowhere/at/all"}):
        yield
        connection.close()


PAGES = [
    USAGE,
    "/records/tasks/",
    "/tokens/",
    "/exports/",
    "/profile/",
    "/accounts/2fa/",
    "/r/req_0001",
    "/admin/",
    "/admin/logs/usagerecord/?range=all",
]
MACHINES = [
    ("/api/v1/usage", {"Authorization": "Bearer rsr_x"}),
    ("/api/v1/tasks", {"Authorization": "Bearer rsr_x"}),
    ("/records/usage/chart/", {}),
    ("/exports/0198c1f2-7c00-8a3e-9f21-5b1d6a0c4e77/manifest.json", {}),
    ("/admin/autocomplete/", {}),
    (USAGE, {"Accept": "application/json"}),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_while_the_database_is_away_is_a_503_in_words(client: Client, path: str) -> None:
    with away():
        answer = client.get(path)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    page = answer.content.decode()
    assert "The console is temporarily unavailable" in page
    assert "Traceback" not in page
    assert "<style" not in page
    assert answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "headers"), MACHINES)
def test_a_machine_gets_a_json_problem(client: Client, path: str, headers: dict[str, str]) -> None:
    with away():
        answer = client.get(path, headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert int(answer["Retry-After"]) > 0
    assert json.loads(answer.content)["status"] == 503


@pytest.mark.django_db(transaction=True)
def test_sign_in_and_what_is_sent_while_the_database_is_away_are_503s(client: Client) -> None:
    form = {"login": "alice@example.com", "password": "alice-password"}
    with away():
        assert Client(raise_request_exception=False).post("/accounts/login/", form).status_code == 503
        sent = client.post("/profile/theme/", {"theme": "dark"})
        hook = client.post("/hooks/replicate/", "{}", content_type="application/json")
    assert sent.status_code == 503
    assert "It may or may not have been saved" in sent.content.decode()
    assert (hook.status_code, hook["Content-Type"]) in {
        (503, "application/problem+json"),
        (401, "application/json"),
    }


@pytest.mark.django_db(transaction=True)
def test_what_fails_after_the_view_is_a_503_too(client: Client) -> None:
    failure = OperationalError("terminating connection due to administrator command")
    with patch.object(SessionStore, "load", side_effect=failure):
        assert client.get(USAGE).status_code == 503
    with patch("allauth.usersessions.models.UserSessionManager.create_from_request", side_effect=failure):
        assert client.get(USAGE).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_locked_table_makes_pages_busy_and_lets_the_others_through(
    client: Client, gateway: Gateway
) -> None:
    store(gateway, event())
    with hurried(), held("LOCK TABLE usage_record"):
        started = monotonic()
        answer = client.get(f"{USAGE}?range=all")
        assert monotonic() - started < 5
        assert client.get("/profile/").status_code == 200
    assert answer.status_code == 503
    assert "Busy at the moment" in answer.content.decode()
    assert client.get(f"{USAGE}?range=all").status_code == 200


def slow(*_: object, **__: object) -> None:
    """What a query over too much does."""
    run("SELECT pg_sleep(10)")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (f"{USAGE}?range=all&model=gpt-5", f"{USAGE}?range=30d&model=gpt-5"),
        (f"{USAGE}?range=7d", f"{USAGE}?range=24h"),
        (
            f"{USAGE}?start=2020-01-01T00:00&end=2026-01-01T00:00&status=error",
            f"{USAGE}?status=error&range=24h",
        ),
        (USAGE, f"{USAGE}?range=1h"),
    ],
)
def test_a_range_that_takes_too_long_leads_to_a_shorter_one(client: Client, asked: str, offered: str) -> None:
    with patch.object(limits, "PAGE", QUICK), patch.object(own_records, "listed", slow):
        page = client.get(asked)
        results = client.get(asked.replace(USAGE, f"{USAGE}results/"), headers={"HX-Request": "true"})
    assert (page.status_code, results.status_code) == (503, 503)
    words = page.content.decode().replace("&amp;", "&")
    assert "This range takes too long" in words
    assert f'href="{offered}"' in words
    told = json.loads(results.content)
    assert told["shorter"]["url"] == offered
    assert "shorter range" in told["detail"]
    assert client.get(offered).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_shortest_range_offers_no_shorter_one_and_every_preset_ends_there(client: Client) -> None:
    with patch.object(limits, "PAGE", QUICK), patch.object(own_records, "listed", slow):
        assert "This takes too long" in client.get(f"{USAGE}?range=1h").content.decode()
        for preset in Preset.values:
            steps, url = 0, f"{USAGE}results/?range={preset}"
            while shorter := json.loads(client.get(url, headers={"HX-Request": "true"}).content).get(
                "shorter"
            ):
                steps, url = steps + 1, shorter["url"].replace(USAGE, f"{USAGE}results/")
                assert steps < 6


@pytest.mark.django_db(transaction=True)
def test_the_read_api_says_the_same(alice: User) -> None:
    _, key = personal_tokens.issue(alice, "mine", 7)
    api = Client(headers={"Authorization": f"Bearer {key}"})
    with patch.object(limits, "PAGE", QUICK), patch.object(own_records, "page", slow):
        answer = api.get("/api/v1/usage?range=all")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert "shorter range" in json.loads(answer.content)["detail"]
    with hurried(), held("LOCK TABLE usage_record"):
        assert api.get("/api/v1/usage?range=all").status_code == 503


# --- What gateways send ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_gateway_is_asked_to_come_back_while_its_table_is_locked(gateway: Gateway, alice: User) -> None:
    key = IngestKey.issue(gateway)[1]
    client = Client(headers={"Authorization": f"Bearer {key}"})
    record = {
        "request_id": "req_1",
        "created_at": NOON.isoformat(),
        "user": "alice@example.com",
        "model": "m",
    }
    span = {"resourceSpans": [{"scopeSpans": [{"spans": [_span()]}]}]}
    with hurried(), held("LOCK TABLE usage_record"):
        started = monotonic()
        answers = [
            client.post("/api/v1/usage", record, content_type="application/json"),
            client.post("/api/v1/ingest/litellm", [], content_type="application/json"),
            client.post("/v1/traces", span, content_type="application/json"),
        ]
        assert monotonic() - started < 8
    for answer in (answers[0], answers[2]):
        assert answer.status_code == 503, answer.content
        assert int(answer["Retry-After"]) > 0
    assert UsageRecord.objects.count() == 0
    assert client.post("/api/v1/usage", record, content_type="application/json").status_code == 200
    assert client.post("/v1/traces", span, content_type="application/json").status_code == 200
    assert UsageRecord.objects.count() == 2


def _span() -> dict[str, object]:
    start = int(NOON.timestamp() * 1_000_000_000)
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.id": "resp_1"}
    return {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000_000_000),
        "attributes": [{"key": name, "value": {"stringValue": value}} for name, value in told.items()],
    }


# --- The log -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_outage_is_a_line_and_a_fault_of_ours_its_traceback(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Client(raise_request_exception=False, headers={"Authorization": "Bearer rsk_x"})
    with caplog.at_level(logging.INFO), away():
        for _ in range(10):
            client.get(USAGE)
            gateway.post("/api/v1/usage", "{}", content_type="application/json")
            gateway.get("/api/v1/usage")
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None
    assert "The database cannot be reached" in caplog.text
    caplog.clear()
    with patch.object(own_records, "listed", side_effect=ProgrammingError("column nothing does not exist")):
        assert client.get(USAGE).status_code == 500
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= logging.ERROR] == [
        True
    ]


def test_an_outage_that_lasts_is_told_again_with_how_many_it_cost() -> None:
    lines = troubles._Lines()
    assert lines.due(Trouble.AWAY, 0) == 0
    assert [lines.due(Trouble.AWAY, now) for now in (1, 2, 29)] == [None, None, None]
    assert lines.due(Trouble.BUSY, 2) == 0
    assert lines.due(Trouble.AWAY, 31) == 3
    assert lines.due(Trouble.AWAY, 90) == 0


# --- In the browser ----------------------------------------------------------------------------------------


@pytest.mark.expects_browser_errors("status of 503", "Response Status Error Code 503")
def test_a_swap_past_its_limit_says_so_in_place_and_offers_less(
    page: Page, alice: User, gateway: Gateway
) -> None:
    store(gateway, event())
    page.goto("/accounts/login/")
    page.get_by_label("E-mail").fill("alice@example.com")
    page.get_by_label("Password").fill("alice-password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile(USAGE))
    page.goto(f"{USAGE}?range=all")
    with patch.object(limits, "PAGE", QUICK), patch.object(own_records, "listed", slow):
        page.evaluate("htmx.ajax('GET', '/records/usage/results/?range=all&model=gpt-5', '#panel')")
        box = page.locator(".swap-error")
        expect(box).to_contain_text("shorter range")
    box.get_by_role("link", name="Show: Last 30 days").click()
    expect(page).to_have_url(re.compile(r"/records/usage/\?range=30d&model=gpt-5"))
