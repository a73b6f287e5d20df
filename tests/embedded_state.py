"""State folders of tests' own, and what runs in them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from routescope import embedded
from routescope.embedded import place, running

MANAGE = [sys.executable, str(place.CHECKOUT / "manage.py")]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of this test's own, with a short path that every user can follow."""
    folder = Path(tempfile.mkdtemp(prefix="rs-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("ROUTESCOPE_STATE", str(folder))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "routescope.settings")
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    yield folder
    assert server_ids(folder) == [], "A test must stop what it started."
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A state folder whose engines run for all tests that only look."""
    with (
        tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)
        patch.setenv("ROUTESCOPE_STATE", folder)
        patch.delenv("DATABASE_URL", raising=False)
        patch.delenv("REDIS_URL", raising=False)
        with embedded.engines(durable=False):
            yield Path(folder)


@pytest.fixture
def running_state(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared state folder, as this test's own."""
    monkeypatch.setenv("ROUTESCOPE_STATE", str(shared))
    return shared


def server_ids(state: Path) -> list[int]:
    """Return the process IDs of the state folder's PostgreSQL and Valkey, where they live."""
    data = (place.engine(state) / "postgres").resolve()
    configuration = (place.engine(state) / "redis" / "redis.conf").resolve()
    files = (
        (data / "postmaster.pid", "postgres", data),
        (configuration.with_name("redis.pid"), "valkey-server", configuration),
    )
    recorded = [
        (int(words[0]), program, word)
        for file, program, word in files
        # It may be about to be written.
        if file.exists() and (words := file.read_text().split())
    ]
    return [pid for pid, program, word in recorded if running.is_process(pid, program, str(word))]


def ask(statement: str) -> str:
    """Return the first value of a statement's answer from the embedded database."""
    with psycopg.connect(embedded.database_url()) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return str(row[0]) if row else ""


@contextlib.contextmanager
def another_user() -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the engines until its input ends."""
    program = (
        "import sys; from routescope import embedded\n"
        "with embedded.engines(): print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=place.CHECKOUT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process


def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MANAGE, *arguments], capture_output=True, text=True, timeout=120)
