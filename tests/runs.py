"""Running ``manage.py up``: what it prints, what it starts, what it answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from routescope.embedded import place

MANAGE = [sys.executable, str(place.CHECKOUT / "manage.py")]
LIMIT = 120


class Up:
    """A running ``manage.py up``, and what it printed so far."""

    def __init__(self, state: Path, port: int, wrapped: Sequence[str] = (), **variables: str) -> None:
        self.port = port
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*wrapped, *MANAGE, "up", "--no-demo", "--port", str(port)],
            env=environment(state) | variables,
            stdin=subprocess.DEVNULL,
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
    unwanted |= {"ADMIN_EMAIL", "ADMIN_PASSWORD"}
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

    def begin(port: int, wrapped: Sequence[str] = (), **variables: str) -> Up:
        started.append(Up(state, port, wrapped, **variables))
        return started[-1]

    yield begin
    for up in started:
        if up.process.poll() is None:
            up.end()
