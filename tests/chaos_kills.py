"""What ``up`` runs, killed in turn: how long each takes to be back."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis

from routescope.embedded import place
from tests.chaos_console import Console, Load, Person, batch, say, send, until

PATIENCE = 90.0  # seconds after which something counts as gone for good


def run(console: Console, load: Load, between: float, limit: float, faults: list[str]) -> None:
    """Kill each in turn, and note what is not back within ``limit`` seconds."""
    probe = _Probe(console)
    until(lambda: len(load.acknowledged) > 20 and load.pages["200"] > 5, PATIENCE)
    database = {"ingest": probe.stores, "page": probe.reads}
    for name, find, back in (
        ("postmaster", _postmaster, database),
        ("valkey", _valkey, {"queue": probe.queues, "worker": probe.works, "beat": probe.beats}),
        ("web", _web, database),
        ("worker", _child("--queues=celery"), {"worker": probe.works}),
        ("beat", _child(" beat "), {"beat": probe.beats}),
        ("keeper", _keeper, {"keeper": lambda: True}),
        ("postmaster again", _postmaster, database),
    ):
        time.sleep(between)
        killed = find(console)
        if killed is None:
            faults.append(f"there is no {name} to kill")
            continue
        os.kill(killed, signal.SIGKILL)
        began = time.monotonic()
        until(lambda find=find, killed=killed: find(console) != killed, PATIENCE)  # type: ignore[misc]
        with ThreadPoolExecutor(len(back) + 1) as beside:
            started = beside.submit(until, lambda find=find: find(console), PATIENCE)  # type: ignore[misc]
            waits = {what: beside.submit(_time_until, is_back, began) for what, is_back in back.items()}
        if started.result() is None:
            faults.append(f"{name} itself is not back")
        took = {what: wait.result() for what, wait in waits.items()}
        say(f"{name} killed, back after: " + ", ".join(f"{what} {s:.1f} s" for what, s in took.items()))
        faults += [f"{what} took {s:.1f} s after {name}" for what, s in took.items() if s > limit]


def _time_until(is_back: Callable[[], bool], began: float) -> float:
    """Return the seconds since ``began`` when it is back; without an end where it never is."""
    return time.monotonic() - began if until(is_back, PATIENCE) is not None else float("inf")


def orphan(console: Console, limit: float, faults: list[str]) -> None:
    """Kill ``up`` itself, and see that everything it started ends, and that it starts again."""
    begun = {pid for pid in _of_state(console.state) if pid != os.getpid()}
    os.kill(console.process.pid, signal.SIGKILL)
    console.process.wait()
    took = until(lambda: not (begun & set(_of_state(console.state))), PATIENCE)
    if took is None:
        faults.append("processes stay after up was killed")
    else:
        say(f"up killed: all {len(begun)} processes ended by themselves after {took:.1f} s")
    console.start()


class _Probe:
    """Whether parts of the console do their work, asked from outside."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._person = Person(console)
        until(lambda: self.reads(), PATIENCE)  # Signs in: how long that takes is not asked here.
        self._socket = str(place.sockets(console.state) / "redis.sock")
        self._number = 900_000_000

    def stores(self) -> bool:
        self._number += 1
        return send(self._console, batch(f"probe-{self._number}", self._number))[0] == "200"

    def reads(self) -> bool:
        return self._person.read("/records/usage/") == "200"

    def queues(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), redis.Redis(unix_socket_path=self._socket) as client:
            return bool(client.ping())
        return False

    def works(self) -> bool:
        from routescope.celery import app

        with contextlib.suppress(Exception):  # Not back.
            return bool(app.control.inspect(timeout=1.0).ping())
        return False

    def beats(self) -> bool:
        """Say whether beat sends its most frequent job, which it does every two seconds."""
        with (
            contextlib.suppress(redis.ConnectionError, redis.TimeoutError),
            redis.Redis(unix_socket_path=self._socket, socket_timeout=3) as client,
            client.monitor() as monitor,
        ):
            for heard in monitor.listen():
                if "LPUSH" in heard["command"] and "tasks.dispatch" in heard["command"]:
                    return True
        return False


def _postmaster(console: Console) -> int | None:
    return _noted(place.engine(console.state) / "postgres" / "postmaster.pid")


def _valkey(console: Console) -> int | None:
    return _noted(place.engine(console.state) / "redis" / "redis.pid")


def _keeper(console: Console) -> int | None:
    return _noted(console.state / "locks" / "keeper")


def _noted(file: Path) -> int | None:
    try:
        words = file.read_text().split()
    except FileNotFoundError:
        return None
    return int(words[0]) if words and _command(int(words[0])) else None


def _child(word: str) -> Callable[[Console], int | None]:
    def find(console: Console) -> int | None:
        return next((pid for pid in _children(console) if word in _command(pid)), None)

    return find


def _web(console: Console) -> int | None:
    """Return the child of ``up`` that is neither Celery nor an engine."""
    others = ("celery", "postgres", "valkey", "routescope.embedded", "tether")
    return next(
        (
            pid
            for pid in _children(console)
            if (words := _command(pid)) and not any(o in words for o in others)
        ),
        None,
    )


def _children(console: Console) -> list[int]:
    found = []
    for task in Path(f"/proc/{console.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return sorted(found)


def _command(pid: int) -> str:
    """Return the words of a process; none for a zombie or one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _of_state(state: Path) -> list[int]:
    """Return the living processes whose words or environment name the state folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes()
            if words and os.fsencode(state) in words + (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found
