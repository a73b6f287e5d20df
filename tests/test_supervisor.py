"""Processes side by side: named lines, restarts with a pause, an end in order that leaves nothing behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from routescope.embedded import running
from routescope.processes import supervisor
from routescope.processes.output import Lines
from routescope.processes.supervisor import Service, ServiceFailedError, Supervisor

Record = list[tuple[str, str]]
LIMIT = 120  # seconds


def shell(
    name: str, script: str, patience: float = 5, ready: Callable[[], bool] | None = None, finite: bool = False
) -> Service:
    return Service(name, ["/bin/sh", "-c", script], {"PATH": os.defpath}, patience, ready, finite)


@pytest.fixture
def said() -> Record:
    return []


@pytest.fixture
def supervise(
    said: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Supervisor]]:
    """Make a supervisor whose pauses are short, and stop it after the test."""
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervisor, "_TICK", 0.01)
    made: list[Supervisor] = []

    def make(*services: Service) -> Supervisor:
        made.append(Supervisor(services, lambda name, line: said.append((name, line)), tmp_path))
        return made[0]

    yield make
    made[0].hurry.set()
    made[0].stop()


def words_of(pid: str) -> bytes:
    """Return a process's command line; nothing where it is gone, or a zombie for init to collect."""
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def until(watched: Supervisor, condition: Callable[[], bool]) -> None:
    """Run until the condition holds."""

    def watch() -> None:
        deadline = time.monotonic() + LIMIT
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        watched.stopping.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    watched.run(lambda: None)
    watcher.join()
    assert condition()


def test_what_dies_is_started_again_and_said_so(supervise: Callable[..., Supervisor], said: Record) -> None:
    watched = supervise(shell("clock", "echo tick; exit 3"))
    until(watched, lambda: said.count(("clock", "tick")) >= 3)
    assert said[:2] == [("clock", "tick"), ("clock", "ended (status 3); starting it again in 0 s")]


def test_the_pause_before_a_restart_doubles_up_to_a_limit(
    supervise: Callable[..., Supervisor], said: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE", 0.04)
    watched = supervise(shell("clock", "date +%s%N; kill -9 $$"))
    until(watched, lambda: len(said) >= 10)
    times = [int(line) / 1e9 for _, line in said if line.isdigit()]
    assert times[1] - times[0] >= 0.02
    assert times[3] - times[2] >= 0.04
    assert said[1][1].startswith("ended (killed by SIGKILL)")


def test_a_service_waits_for_the_one_before_it(supervise: Callable[..., Supervisor], said: Record) -> None:
    is_open = threading.Event()
    watched = supervise(
        shell("web", "echo up; sleep 60", ready=is_open.is_set), shell("worker", "echo up; sleep 60")
    )
    until(watched, lambda: ("web", "up") in said)
    assert ("worker", "up") not in said
    is_open.set()
    watched.stopping.clear()
    until(watched, lambda: ("worker", "up") in said)


def test_one_that_never_becomes_ready_ends_the_run_with_its_words(
    supervise: Callable[..., Supervisor],
) -> None:
    watched = supervise(shell("web", "echo no such setting; exit 1", ready=lambda: False))
    with pytest.raises(ServiceFailedError, match=r"web does not start \(status 1\)(?s:.*)no such setting"):
        watched.run(lambda: None)


def test_one_that_hangs_before_it_is_ready_ends_the_run(
    supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_READY_LIMIT", 0.1)
    watched = supervise(shell("web", "sleep 60", ready=lambda: False))
    with pytest.raises(ServiceFailedError, match="web is not ready after"):
        watched.run(lambda: None)


def test_a_finite_service_is_not_started_again(supervise: Callable[..., Supervisor], said: Record) -> None:
    watched = supervise(shell("traffic", "echo done", finite=True), shell("worker", "echo up; sleep 0.3"))
    until(watched, lambda: said.count(("worker", "up")) >= 2)
    assert said.count(("traffic", "done")) == 1


def test_the_last_started_is_stopped_first(supervise: Callable[..., Supervisor], said: Record) -> None:
    script = "trap 'echo ended; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    watched = supervise(shell("web", script), shell("worker", script))
    until(watched, lambda: {("web", "up"), ("worker", "up")} <= set(said))
    watched.stop()
    assert [name for name, line in said if line == "ended"] == ["worker", "web"]


def test_one_that_does_not_heed_is_killed_with_its_children_after_its_patience(
    supervise: Callable[..., Supervisor], said: Record
) -> None:
    watched = supervise(shell("worker", "trap '' TERM; sleep 60 & echo $!; wait; wait", patience=0.1))
    until(watched, lambda: len(said) == 1)
    watched.stop()
    assert said[1] == ("worker", "does not stop: killed")
    assert running.wait(lambda: not words_of(said[0][1]), LIMIT)


def test_hurry_ends_the_patience(supervise: Callable[..., Supervisor], said: Record) -> None:
    watched = supervise(shell("worker", "trap '' TERM; echo up; while :; do sleep 0.01; done", patience=60))
    until(watched, lambda: len(said) == 1)
    watched.hurry.set()
    began = time.monotonic()
    watched.stop()
    assert time.monotonic() - began < 50


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux ties a child to its parent.")
def test_children_end_with_a_killed_parent() -> None:
    program = (
        "import pathlib; from routescope.processes.supervisor import *\n"
        "ready = lambda: False\n"
        "s = Service('clock', ['/bin/sh', '-c', 'echo $$; exec sleep 60'], {}, ready=ready)\n"
        "Supervisor([s], lambda name, line: print(line, flush=True), pathlib.Path('/')).run(lambda: None)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = parent.stdout.readline().strip()
        # Between two programs a process has no words for a moment.
        assert running.wait(lambda: words_of(child).startswith(b"sleep"), LIMIT)
        parent.send_signal(signal.SIGKILL)
    assert running.wait(lambda: not words_of(child), LIMIT)


def test_lines_carry_the_name_and_no_colour_into_a_file() -> None:
    stream = io.StringIO()
    Lines(stream).say("web", "hello")
    assert stream.getvalue() == "web     | hello\n"


def test_lines_of_which_nobody_reads_any_more_go_nowhere() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        lines = Lines(stream)
        lines.tell("hello")
        lines.say("web", "hello")
