"""``manage.py up``: comes up, stays up, ends without a trace, and finds its way after being killed."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import User
from routescope.demo import DEMO_USER_EMAIL
from routescope.embedded import place
from routescope.listening import Address, AddressTakenError
from routescope.management.commands import up as up_command
from routescope.output import Lines

MANAGE = [sys.executable, str(place.CHECKOUT / "manage.py")]
LIMIT = 120


class Up:
    """A running ``manage.py up``, and what it printed so far."""

    def __init__(self, state: Path, port: int, **variables: str) -> None:
        self.port = port
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*MANAGE, "up", "--no-demo", "--port", str(port)],
            env=environment(state) | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def until(self, text: str) -> None:
        """Wait until it printed the text."""
        wait(lambda: text in self.output or self.process.poll() is not None, self.output)
        if self.process.poll() is not None:
            self._reader.join(LIMIT)
        assert text in self.output, self.output

    def get(self, path: str = "/accounts/login/") -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return int(answer.status)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its status."""
        self.process.send_signal(number)
        status = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return status


def environment(state: Path) -> dict[str, str]:
    unwanted = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "BASE_URL", "HOST", "PORT", "ALLOWED_HOSTS"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"ROUTESCOPE_STATE": str(state), "DJANGO_SETTINGS_MODULE": "routescope.settings"}


def wait(condition: Callable[[], bool], about: object = "") -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, about
        time.sleep(0.02)


def processes(state: Path) -> dict[int, str]:
    """Return the living processes of the state folder: its name is in their words or their environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            words = (folder / "cmdline").read_bytes()
            if words and os.fsencode(state) in words + (folder / "environ").read_bytes():
                found[int(folder.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def process_of(state: Path, word: str) -> int | None:
    """Return the process of the state folder with the word in its command line, and no parent like it."""
    found = {pid for pid, command in processes(state).items() if word in command}
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if parent not in found:
                return pid
    return None


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def made_state() -> Iterator[Path]:
    """A state folder that is prepared once, by whichever test is first."""
    folder = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def state(made_state: Path) -> Iterator[Path]:
    yield made_state
    left = processes(made_state)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == {}, "A test must stop what it started."


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., Up]]:
    """Start a run; one that its test did not end, since it failed, ends now."""
    started: list[Up] = []

    def begin(port: int, **variables: str) -> Up:
        started.append(Up(state, port, **variables))
        return started[-1]

    yield begin
    for up in started:
        if up.process.poll() is None:
            up.end()


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
    assert (Address(host, 80).is_local, Address(host, 80).url) == (is_local, url)


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(AddressTakenError, match="99999"):
        Address("127.0.0.1", 99999).claim(patience=0)


# --- A whole run -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_comes_up_ends_without_a_trace_and_keeps_its_data(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until(f"Routescope is ready at http://127.0.0.1:{port}/")
    up.until("python manage.py createsuperuser")
    assert up.get() == 200
    parts = ("gunicorn", " worker ", " beat ", "postgres", "redis-server")
    wait(lambda: all(part in " ".join(processes(state).values()) for part in parts))
    make_admin = "from accounts.models import User; User.objects.create_superuser('a@example.com', 'x')"
    made = subprocess.run(
        [*MANAGE, "shell", "--no-imports", "-c", make_admin],
        env=environment(state),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert up.end() == 0
    assert processes(state) == {}
    assert "Warning" not in up.output
    assert "Traceback" not in up.output

    up = start(port)
    up.until("Routescope is ready")
    assert "createsuperuser" not in up.output
    assert up.end(signal.SIGINT) == 0
    assert processes(state) == {}


@pytest.mark.slow
def test_a_killed_run_leaves_no_servers_and_the_next_start_needs_no_help(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    database = process_of(state, "bin/postgres")
    assert up.end(signal.SIGKILL) == -signal.SIGKILL

    up = start(port)
    up.until("Routescope is ready")
    assert process_of(state, "bin/postgres") == database
    # A process that is becoming another program has no words for a moment.
    wait(lambda: sum(" beat " in command for command in processes(state).values()) == 1, processes(state))
    assert up.get() == 200
    assert up.end() == 0


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again(start: Callable[..., Up], state: Path, port: int) -> None:
    up = start(port)
    up.until("Routescope is ready")
    wait(lambda: process_of(state, "--queues=celery") is not None)
    worker = process_of(state, "--queues=celery")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    up.until("worker  | ended (killed by SIGKILL); starting it again in 1 s")
    wait(lambda: process_of(state, "--queues=celery") not in {None, worker})
    assert up.get() == 200
    assert up.end() == 0


@pytest.mark.slow
def test_a_second_run_of_the_same_state_says_where_the_first_one_is(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    second = start(port + 1)
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


def test_a_demo_that_is_there_is_brought_up_to_now_without_another_process(
    db: None, django_user_model: type[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(up_command, "run_once", lambda service, folder: done.append(service.name))
    monkeypatch.setattr(up_command, "call_command", lambda name, **options: done.append(name))
    monkeypatch.setattr(up_command.Command, "run", lambda command: None)
    command = up_command.Command()
    call_command(command, "--demo")
    command.lines = Lines(io.StringIO())
    command._load_demo()
    assert done == ["demo"]
    django_user_model.objects.create_user(DEMO_USER_EMAIL, "x")
    command._load_demo()
    assert done == ["demo", "load_demo"]
