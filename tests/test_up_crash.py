"""``manage.py up`` after deaths, of its parts and its own, and where it may write little."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from routescope.embedded import place
from tests.embedded_state import server_ids
from tests.runs import Up, made_state, process_of, processes, start, state, wait

__all__ = ["made_state", "start", "state"]

pytestmark = pytest.mark.slow


def answers(up: Up) -> bool:
    """Say whether a page that asks the database is there."""
    try:
        return up.get("/accounts/login/") == 200
    except OSError:
        return False


def test_a_killed_run_ends_all_it_started_and_the_next_start_needs_no_help(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    assert len(server_ids(state)) == 2
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    wait(lambda: processes(state) == {}, processes(state))

    up = start(port)
    up.until("Routescope is ready")
    assert up.get() == 200
    assert up.end() == 0


def test_a_start_right_after_a_kill_finds_the_engines_running(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    up = start(port)
    up.until("Routescope is ready")
    # A process that is becoming another program has no words for a moment.
    wait(lambda: sum(" beat " in command for command in processes(state).values()) == 1, processes(state))
    assert len(server_ids(state)) == 2
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


def test_engines_that_die_come_back_and_the_log_stays_short(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    up = start(port)
    up.until("Routescope is ready")
    killed = server_ids(state)
    before = len(up.lines)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    for name in ("postgres", "valkey"):
        up.until(f"engines | {name} runs again after")
    assert set(server_ids(state)).isdisjoint(killed)
    wait(lambda: answers(up), up.output)
    assert up.end() == 0
    assert "Traceback" not in up.output
    assert len(up.lines) - before < 40, up.output


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="Only root makes its own view of the file system, and only Linux has it.",
)
def test_it_runs_from_a_read_only_checkout_under_a_closed_umask(
    start: Callable[..., Up], state: Path, port: int
) -> None:
    alone = (
        f"mount --bind {place.CHECKOUT} {place.CHECKOUT}"
        f" && mount -o remount,bind,ro {place.CHECKOUT}"
        f" && ! touch {place.CHECKOUT}/probe 2>/dev/null"
        ' && umask 077 && exec "$@"'
    )
    own = state / "own"
    up = start(port, ["unshare", "--mount", "sh", "-c", alone, "sh"], ROUTESCOPE_STATE=str(own))
    up.until("Routescope is ready")
    assert up.get() == 200
    assert (own / "staticfiles" / "staticfiles.json").is_file()
    assert up.end() == 0
    assert "Traceback" not in up.output


@pytest.mark.skipif(sys.platform != "linux", reason="Reads what root may only where /proc is.")
def test_a_closed_umask_hinders_no_first_start(start: Callable[..., Up], state: Path, port: int) -> None:
    own = state / "closed"
    up = start(port, ["sh", "-c", 'umask 077 && exec "$@"', "sh"], ROUTESCOPE_STATE=str(own))
    up.until("Routescope is ready")
    assert up.get() == 200
    assert up.end() == 0
    made = subprocess.run(
        [sys.executable, str(place.CHECKOUT / "manage.py"), "check", "--database", "default"],
        env={**os.environ, "ROUTESCOPE_STATE": str(own), "DJANGO_SETTINGS_MODULE": "routescope.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
