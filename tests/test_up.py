"""``manage.py up``: comes up, stays up, ends without a trace, and finds its way after being killed."""

from __future__ import annotations

import io
import re
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.config.listening import AddressTakenError, ListenAddress
from routescope.demo import DEMO_USER_EMAIL
from routescope.management.commands import up as up_command
from routescope.processes.output import Lines
from tests.runs import LIMIT, Up, made_state, processes, start, state, wait

__all__ = ["made_state", "start", "state"]

# --- Address -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "is_local", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:80"),
        ("localhost", True, "http://localhost:80"),
        ("::1", True, "http://[::1]:80"),
        ("0.0.0.0", False, "http://127.0.0.1:80"),
        ("::", False, "http://[::1]:80"),
        ("192.0.2.7", False, "http://192.0.2.7:80"),
        ("gateway.example", False, "http://gateway.example:80"),
    ],
)
def test_an_address_knows_who_reaches_it(host: str, is_local: bool, url: str) -> None:
    assert (ListenAddress(host, 80).is_local, ListenAddress(host, 80).url) == (is_local, url)


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(AddressTakenError, match="99999"):
        ListenAddress("127.0.0.1", 99999).claim(patience=0)


# --- A whole run -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_comes_up_ends_without_a_trace_and_keeps_its_data(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until(f"Routescope is ready at http://127.0.0.1:{port}/")
    assert "createsuperuser" not in up.output
    # Whichever run of this state was the first has told it.
    assert len(re.findall(r"^The first admin, shown this once:$", up.output, re.M)) <= 1
    assert up.get() == up.get("/readyz") == up.get("/livez") == 200
    parts = ("gunicorn", " worker ", " beat ", "postgres", "valkey-server")
    wait(lambda: all(part in " ".join(processes(state).values()) for part in parts))
    assert up.end() == 0
    assert processes(state) == {}
    assert "Warning" not in up.output
    assert "Traceback" not in up.output

    up = start(port)
    up.until("Routescope is ready")
    assert "first admin" not in up.output
    assert up.end(signal.SIGINT) == 0
    assert processes(state) == {}


@pytest.mark.slow
def test_a_second_run_of_the_same_state_says_where_the_first_one_is(
    start: Callable[..., Up], state: Path, port: int, another_port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    second = start(another_port)
    assert second.process.wait(LIMIT) == 1
    second.until(f"Routescope runs here already: http://127.0.0.1:{port}/, process {up.process.pid}.")
    assert up.get() == 200
    assert up.end() == 0


@pytest.mark.slow
def test_a_signal_during_the_preparation_unwinds_it(start: Callable[..., Up], state: Path, port: int) -> None:
    up = start(port)
    up.until("Preparing the database")
    assert up.end() == 0
    assert processes(state) == {}


@pytest.mark.slow
def test_a_web_server_that_cannot_start_ends_the_run_with_its_reason(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port, WEB_THREADS="many")
    assert up.process.wait(LIMIT) == 1
    up.until("web does not start")
    up.until("WEB_THREADS='many' is not a whole number.")
    assert processes(state) == {}


def test_a_port_in_use_is_told_before_anything_is_started(start: Callable[..., Up], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up = start(taken.getsockname()[1], ROUTESCOPE_STATE=str(tmp_path))
        assert up.process.wait(LIMIT) == 1
    up.until("is in use by another program; choose another with --port.")
    assert not (tmp_path / "engine").exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "demo"),
    [
        ([], {}, True),
        (["--host", "0.0.0.0"], {}, False),
        ([], {"DATABASE_URL": "postgresql://db/routescope"}, False),
        (["--demo"], {"DATABASE_URL": "postgresql://db/routescope"}, True),
        (["--no-demo"], {}, False),
    ],
)
def test_demo_passwords_are_loaded_unasked_only_where_nobody_else_comes(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: Mapping[str, str], demo: bool
) -> None:
    for name in ("DATABASE_URL", "HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = up_command.Command()
    monkeypatch.setattr(command, "run", lambda: None)
    call_command(command, *arguments)
    assert command.demo is demo


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(["--demo", "--host", "0.0.0.0"], {}), (["--demo"], {"DATABASE_URL": "postgresql://db/routescope"})],
)
def test_a_demo_that_others_could_reach_is_refused_before_anything_is_started(
    db: None,
    monkeypatch: pytest.MonkeyPatch,
    settings: SettingsWrapper,
    arguments: list[str],
    variables: Mapping[str, str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        settings.ONLY_THIS_MACHINE = False
    monkeypatch.setattr(up_command, "_only_one", lambda address: pytest.fail("It was started."))
    with pytest.raises(CommandError, match="passwords of its user and its admin are known to everyone"):
        call_command(up_command.Command(), *arguments)
    assert not User.objects.exists()


def command_with(demo: bool) -> up_command.Command:
    command = up_command.Command()
    command.address, command.demo = ListenAddress("127.0.0.1", 8158), demo
    return command


def test_the_demo_comes_in_beside_what_it_needs_and_what_it_does_not_wait_for() -> None:
    services = {service.name: service for service in command_with(True)._services()}
    assert list(services) == ["web", "worker", "slow", "beat", "demo", "traffic", "provider"]
    url = "--url http://127.0.0.1:8158"
    for name, words in (
        ("demo", f"load_demo {url} --verbosity 0"),
        ("traffic", f"demo_traffic {url}"),
        ("provider", f"demo_provider {url} --port 8159"),
    ):
        assert " ".join(map(str, services[name].argv)).endswith(f"manage.py {words}")
        # The next one begins at once, and the console is ready without it.
        assert services[name].finite and services[name].ready is None
    assert not {"demo", "traffic", "provider"} & {one.name for one in command_with(False)._services()}


def test_its_people_are_there_before_anybody_can_sign_in(
    db: None, settings: SettingsWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ONLY_THIS_MACHINE = True
    command = command_with(True)
    stream = io.StringIO()
    command.lines, command.mail = Lines(stream), ""
    for _ in range(2):
        command._make_demo_people()
        command._tell_ready(needs_admin=False)
    assert User.objects.filter(email=DEMO_USER_EMAIL, is_active=True).count() == 1
    assert Gateway.objects.count() == 1
    assert stream.getvalue().count("demo user   demo@example.com  password ") == 2
    assert stream.getvalue().count("Its history comes in meanwhile: the pages say how far it is.") == 1
