"""How long anything may take in PostgreSQL, and what is answered past it or while PostgreSQL is away."""

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
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.access import personal_tokens
from accounts.models import Gateway, IngestKey, User
from logs.listing import own_records
from logs.models import UsageRecord
from routescope.data import limits, troubles
from routescope.data.limits import COMMAND, INGEST, PAGE, WorkLimits, limited
from routescope.data.postgresql.base import DatabaseWrapper
from routescope.data.ranges import Preset
from routescope.data.troubles import Trouble, trouble_of
from tests.cast import NOON, event, store
from tests.locking import held

USAGE = "/records/usage/"
QUICK = WorkLimits(timedelta(milliseconds=300), timedelta(milliseconds=100), timedelta(seconds=5))


def in_force() -> dict[str, timedelta]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting::int FROM pg_settings WHERE name IN"
            " ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')"
        )
        return {name: timedelta(milliseconds=value) for name, value in cursor.fetchall()}


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def of(work: WorkLimits) -> dict[str, timedelta]:
    return {
        "statement_timeout": work.statement,
        "lock_timeout": work.lock,
        "idle_in_transaction_session_timeout": work.idle,
    }


@contextmanager
def hurried() -> Iterator[None]:
    """Pages and ingest with limits that a test can wait for, of the same order: a lock before a statement."""
    quick = WorkLimits(timedelta(seconds=2), timedelta(milliseconds=100), timedelta(seconds=5))
    with patch.object(limits, "PAGE", quick), patch.object(limits, "INGEST", quick):
        yield


# --- A session follows the work ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_nothing_is_without_limit() -> None:
    for work in (PAGE, INGEST, limits.IMPORT, COMMAND, limits.BESIDE, limits.of_job(timedelta(hours=1))):
        with limited(work):
            assert in_force() == of(work)
            assert timedelta(0) < work.lock < work.statement
            assert timedelta(0) < work.idle <= timedelta(minutes=15)
    assert in_force() == of(COMMAND)
    assert limits.of_job(timedelta(seconds=20)).statement == timedelta(seconds=20)


@pytest.mark.django_db
def test_nothing_is_sent_while_the_work_stays_of_one_kind() -> None:
    sent: list[WorkLimits] = []
    keep = DatabaseWrapper._keep_to

    def counted(self: DatabaseWrapper, wanted: WorkLimits) -> None:
        sent.append(wanted)
        keep(self, wanted)

    in_force()
    with patch.object(DatabaseWrapper, "_keep_to", counted):
        for _ in range(3):
            with limited(PAGE):
                in_force()
        assert sent == [PAGE]
        for _ in range(3):
            with limited(PAGE):
                pass
        in_force()
    assert sent == [PAGE, COMMAND]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_or_reconnected_keeps_to_its_limits() -> None:
    in_force()
    with pytest.raises(ZeroDivisionError), limited(PAGE), transaction.atomic():
        in_force()
        raise ZeroDivisionError
    with limited(PAGE):
        assert in_force() == of(PAGE), "a rollback takes back what was set within"
    with limited(PAGE), transaction.atomic():
        with pytest.raises(ZeroDivisionError), limited(INGEST), transaction.atomic():
            in_force()
            raise ZeroDivisionError
        assert in_force() == of(PAGE)
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            limited(INGEST),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1 / 0")
        assert in_force() == of(PAGE), "the rollback to a savepoint takes no other statement before it"
    with limited(INGEST):
        connection.close()
        assert in_force() == of(INGEST)
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT current_setting('lock_timeout')) TO STDOUT") as copy,
        ):
            assert b"".join(map(bytes, copy)) == b"2s\n"


@pytest.mark.django_db(transaction=True)
def test_an_isolation_level_may_still_be_chosen_and_a_named_cursor_keeps_to_them(alice: User) -> None:
    in_force()
    with limited(PAGE), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        assert [user.pk for user in User.objects.iterator(10)] == [alice.pk]
        assert in_force() == of(PAGE)


@pytest.mark.django_db(transaction=True)
def test_advisory_locks_are_waited_for_no_longer_than_others() -> None:
    lock = "SELECT pg_advisory_xact_lock(7)"
    with held(lock), limited(QUICK), pytest.raises(OperationalError) as caught:
        run(lock)
    assert trouble_of(caught.value) is Trouble.BUSY


def test_connections_end_when_the_server_goes_without_a_word() -> None:
    options = connection.settings_dict["OPTIONS"]
    assert options["connect_timeout"] <= 10
    assert options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"] <= 60
    assert options["tcp_user_timeout"] <= 60_000


# --- What an error means -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        ("SELECT pg_sleep(5)", Trouble.TOO_LONG),
        ("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'many' USING ERRCODE = '53300'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'ends' USING ERRCODE = '57P01'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'starts' USING ERRCODE = '57P03'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '08006'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'disk' USING ERRCODE = '58030'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'standby' USING ERRCODE = '25006'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'dead' USING ERRCODE = '40P01'; END $$", Trouble.BUSY),
        ("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$", Trouble.BUSY),
        ("DO $$ BEGIN RAISE EXCEPTION 'idle' USING ERRCODE = '25P03'; END $$", Trouble.TOO_LONG),
        ("DO $$ BEGIN RAISE EXCEPTION 'complex' USING ERRCODE = '54001'; END $$", None),
        ("SELECT 1 / 0", None),
        ("SELECT nothing FROM nowhere", None),
    ],
)
def test_an_error_of_the_database_is_told_apart_from_one_of_ours(
    statement: str, trouble: Trouble | None
) -> None:
    with pytest.raises(DatabaseError) as caught, limited(QUICK), transaction.atomic():
        run(statement)
    assert trouble_of(caught.value) is trouble


@pytest.mark.django_db
def test_an_error_without_a_state_is_an_outage_where_no_connection_is_left() -> None:
    in_force()
    assert trouble_of(OperationalError("connection refused")) is Trouble.AWAY
    assert trouble_of(InterfaceError("the cursor is closed")) is None
    assert trouble_of(ProgrammingError("no such thing")) is None
    assert trouble_of(ValueError()) is None


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
    assert "The console is away for a moment" in page
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
    assert "go back, look, and send it again" in sent.content.decode()
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
