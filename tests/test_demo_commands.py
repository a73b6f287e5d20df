"""The demo's commands: what they say and refuse, what they leave behind, and how they end."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper
from pytest_django.live_server_helper import LiveServer
from time_machine import TimeMachineFixture

from accounts.models import IngestKey, User
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from logs.models import RecordType, UsageRecord
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_USER_EMAIL, by_hand
from routescope.demo.history import Stretch
from routescope.demo.provider import DevelopmentProvider, plan
from routescope.web import notices
from tasks.models import AsyncTask, ProviderCredential
from tests.demo_cast import Demo, demo

__all__ = ["demo"]

NOW = datetime(2026, 3, 11, 16, 20, tzinfo=UTC)

# --- load_demo ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_history_comes_in_over_http_and_the_command_says_what_it_did(
    live_server: LiveServer, demo: Demo, time_machine: TimeMachineFixture
) -> None:
    # A call that ends between the two loads would be loaded by the second one.
    time_machine.move_to(NOW, tick=False)
    said = StringIO()
    for _ in range(2):
        call_command("load_demo", records=1_500, days=5, url=live_server.url, stdout=said)
    loaded, first_sign_in, again, second_sign_in = said.getvalue().splitlines()
    assert " demo records and " in loaded and "from 2026-03-06 16:00 to 2026-03-11 16:20 UTC" in loaded
    assert again == "The demo is loaded already, up to now."
    sign_in = f"Sign in as {DEMO_USER_EMAIL} or {DEMO_ADMIN_EMAIL}, password {DEMO_PASSWORD}"
    assert first_sign_in == second_sign_in == sign_in
    past = Stretch(NOW, None, NOW, 1_500, 5)
    sent = [record for day in past.days_newest_first() for record in past.records_of(day)]
    assert sorted(UsageRecord.objects.values_list("request_id", "type")) == sorted(
        (record.request_id, RecordType[record.type.upper()]) for record in sent
    )
    assert AsyncTask.objects.filter(gateway=demo.gateway).exists()
    assert notices.current() is None
    assert not IngestKey.objects.exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_beside_other_services_it_says_what_it_loaded_alone(
    live_server: LiveServer, demo: Demo, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(NOW, tick=False)
    said = StringIO()
    for _ in range(2):
        call_command("load_demo", records=300, days=2, url=live_server.url, verbosity=0, stdout=said)
    assert said.getvalue().startswith("Loaded ") and said.getvalue().count("\n") == 1


@pytest.mark.django_db(transaction=True)
def test_a_console_of_another_database_refuses_and_the_command_says_so(
    live_server: LiveServer, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The key of this database's gateway is not known there.
    monkeypatch.setattr(IngestKey, "hash", staticmethod(lambda key: f"another {key}"[:64]))
    with monkeypatch.context() as issued:
        issued.setattr(IngestKey, "issue", lambda gateway, label: (_Unknown(), "rsk_unknown"))
        with pytest.raises(CommandError, match=r"refuses what is sent: 401 Unauthorized.*ingest key"):
            call_command("load_demo", records=300, days=2, url=live_server.url)
    assert notices.current() is None and not UsageRecord.objects.exists()


class _Unknown:
    """A key's row that is in no table."""

    def delete(self) -> None:
        pass


def test_it_is_not_loaded_where_others_can_reach_it(db: None, settings: SettingsWrapper) -> None:
    settings.ONLY_THIS_MACHINE = False
    with pytest.raises(CommandError, match="passwords of its user and its admin are known to everyone"):
        call_command("load_demo")
    with pytest.raises(by_hand.NotAloneError, match="passwords of its user and its admin"):
        by_hand.make_cast(NOW)
    assert not User.objects.exists()


def test_without_a_console_it_says_how_to_start_one_and_makes_nothing(demo: Demo) -> None:
    # Held, so that nobody else listens there, and not listened on.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            CommandError, match=rf"No console answers at {url} \(Connection refused\).*make run"
        ):
            call_command("load_demo", url=url)
    with pytest.raises(CommandError, match=r"--url: .* is not the address of a console"):
        call_command("load_demo", url="localhost")
    assert not User.objects.exists()


@pytest.mark.parametrize("options", [{"records": 0}, {"days": 0}])
def test_less_than_one_of_anything_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="must be at least 1"):
        call_command("load_demo", **options)


# --- demo_traffic ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_demo_must_be_loaded_first() -> None:
    with pytest.raises(CommandError, match=r"run manage\.py load_demo first"):
        call_command("demo_traffic")
    with pytest.raises(CommandError, match=r"run manage\.py load_demo first"):
        call_command("demo_provider", port=1)


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(CommandError, match="--rate"):
        call_command("demo_traffic", rate=0)


@pytest.mark.parametrize("command", ["demo_traffic", "demo_provider"])
def test_an_address_that_is_none_is_refused(demo: Demo, command: str) -> None:
    by_hand.make_cast(NOW)
    given = {"port": 0} if command == "demo_provider" else {}
    with pytest.raises(CommandError, match=r"--url: .* is not the address of a console"):
        call_command(command, url="localhost", **given)
    assert not IngestKey.objects.exists()


@pytest.fixture
def started(demo: Demo, live_server: LiveServer, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands of the demo as processes of their own, for the live server; those left are killed."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(started: list[subprocess.Popen[str]], state: Path, url: str, *words: str) -> subprocess.Popen[str]:
    facts = connection.settings_dict
    host = "".join(f"%{byte:02x}" for byte in os.fsencode(facts["HOST"]))
    database = f"postgresql://{facts['USER']}@{host}:{facts['PORT']}/{facts['NAME']}"
    if facts["PASSWORD"]:
        pytest.skip("The test database wants a password.")
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
        "ROUTESCOPE_STATE": str(state),
    }
    started.append(
        subprocess.Popen(
            [sys.executable, "manage.py", *words, "--url", url],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    return started[-1]


def until(condition: object, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_traffic_comes_in_and_a_signal_ends_it(
    demo: Demo,
    started: list[subprocess.Popen[str]],
    live_server: LiveServer,
    number: signal.Signals,
    tmp_path: Path,
) -> None:
    begun = timezone.now() - timedelta(minutes=2)
    by_hand.make_cast(begun)
    process = start(started, tmp_path, live_server.url, "demo_traffic", "--rate", "5")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Sending some 300 calls a minute to http://")
    assert IngestKey.objects.filter(revoked_at=None).count() == 1
    until(UsageRecord.objects.exists, "no traffic came in")
    until(lambda: demo.book.resume(timezone.now()).until > begun, "nothing was noted")
    process.send_signal(number)
    assert process.wait(120) == 0
    assert process.stdout.read() == ""
    assert not IngestKey.objects.exists()
    # Neither does it wait for the history, nor is it taken for it.
    entries = demo.book.resume(timezone.now())
    assert [left.until for left in entries.stretches] == [begun] and entries.stretches[0].done == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_tasks_are_ordered_and_a_signal_ends_it(
    demo: Demo, started: list[subprocess.Popen[str]], live_server: LiveServer, tmp_path: Path, port: int
) -> None:
    by_hand.make_cast(timezone.now())
    process = start(started, tmp_path, live_server.url, "demo_provider", "--port", str(port))
    until(lambda: AsyncTask.objects.count() == 5, "no tasks were ordered")
    assert UsageRecord.objects.filter(type=RecordType.TASK).count() == 5
    assert set(ProviderCredential.objects.values_list("base_url", flat=True)) == {f"http://127.0.0.1:{port}"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0 and process.stdout is not None
    assert process.stdout.read() == ""
    assert not IngestKey.objects.exists()


def test_a_client_that_goes_away_from_the_demos_provider_leaves_no_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with DevelopmentProvider() as provider:
        provider.start()
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", provider.server_port)) as client:
                client.sendall(b"GET /v1/tasks/x HTTP/1.1\r\nHost: ")
                # Closed so, a connection is reset.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        task = plan("image", "succeeded", 1, start=time.time(), seconds=20)
        with urllib.request.urlopen(f"{provider.url}/v1/tasks/{task}", timeout=20) as answer:
            assert answer.status == 200
        provider.shutdown()
    assert capfd.readouterr().err == ""
