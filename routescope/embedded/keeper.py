"""A process beside the engines: brings back what dies, and ends what nobody uses any more.

Started with the engines, ended by their last user. It outlives its starter, since others may use the engines
by then. Where the last user was killed, it stops the engines itself. Only the start lock's holder starts or
stops an engine, so it never does either against a command's will.

What it does stands in ``locks/keeper.log``, a line for each loss and each return.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from routescope.embedded import disk, leases, place, private, running
from routescope.embedded.account import Server, begun
from routescope.embedded.errors import EmbeddedError
from routescope.embedded.postgres import Postgres
from routescope.embedded.valkey import Valkey
from routescope.processes.supervisor import Say

_ENGINES: dict[str, type[Postgres] | type[Valkey]] = {Postgres.name: Postgres, Valkey.name: Valkey}
_MODULE = "routescope.embedded"
_LOOK = 0.5  # seconds between two looks at the engines
_GRACE = 5.0  # seconds without a user before the engines end: time for the processes of a killed one
_LONGEST_PAUSE = 5.0  # seconds between tries to bring one back


class Keeper:
    """The keeper of one state folder, as a user of the engines has it."""

    def __init__(self, state: Path, *, durable: bool) -> None:
        self._state = state
        self._durable = durable
        self._server: Server | None = None

    def begin(self, wanted: Sequence[leases.Engine], *, anew: bool) -> None:
        """Have a keeper that looks after these, beside what others want unless ``anew``."""
        names = {engine.name for engine in wanted} | (set() if anew else set(_wanted(self._state)))
        file = _file(self._state, "wanted")
        draft = file.with_name("wanted.new")
        try:
            with private.opened(draft, "w") as out:
                json.dump(dict.fromkeys(sorted(names), self._durable), out)
            draft.replace(file)
        except OSError as error:
            raise EmbeddedError(f"{draft} cannot be written ({error.strerror}).") from error
        self.ensure()

    def ensure(self) -> None:
        """Start one where none lives. Call as a user of the engines. Raises EmbeddedError."""
        try:
            with private.opened(_file(self._state, "keeper"), "a+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                os.set_inheritable(lock.fileno(), True)
                # It holds the lock from its first moment, for this descriptor is its own too.
                with private.opened(_file(self._state, "keeper.log"), "w") as log:
                    self._server = begun(
                        Server(
                            [sys.executable, "-m", _MODULE, str(self._state), str(lock.fileno())],
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=subprocess.STDOUT,
                            cwd=place.CHECKOUT,
                            pass_fds=[lock.fileno()],
                            start_new_session=True,
                            umask=0o077,
                        )
                    )
                _note(lock.fileno(), self._server.pid)
        except OSError as error:
            raise EmbeddedError(f"PostgreSQL cannot be looked after ({error}).") from error

    def end(self) -> None:
        """End it. Call under the start lock, when nobody uses the engines: it is not amid anything then."""
        file = _file(self._state, "keeper")
        if not running.end(lambda: _pid(file), ((signal.SIGKILL, 10),), self._server):
            raise EmbeddedError(f"The keeper of the engines (process {_pid(file)}) does not end.")

    @contextlib.contextmanager
    def watched(self, say: Say) -> Iterator[None]:
        """Tell what the keeper does inside the block, and have another one where it dies."""
        ended = threading.Event()

        def watch() -> None:
            seen = 0
            while not ended.wait(_LOOK):
                seen = self._tell(say, seen)
                if not _lives(_file(self._state, "keeper")):
                    say("engines", "are not looked after; starting their keeper again")
                    with contextlib.suppress(EmbeddedError):  # The next look tries again.
                        self.ensure()

        watcher = threading.Thread(target=watch, name="engines", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _tell(self, say: Say, seen: int) -> int:
        """Say what was written since, and return how far that is."""
        with _file(self._state, "keeper.log").open(errors="replace") as told:
            if os.fstat(told.fileno()).st_size < seen:
                seen = 0  # Another keeper's.
            told.seek(seen)
            for line in told:
                say("engines", line.rstrip())
            return told.tell()


def main() -> None:
    """Look after the engines of the state folder until nobody uses them."""
    state, lock = Path(sys.argv[1]), int(sys.argv[2])
    _note(lock, os.getpid())
    # A terminal's or a service manager's signal to all is for the users, who end this process when they go.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with leases.locks(state) as (use, start):
        _Watch(state).run(use, start, lock)


class _Watch:
    """The keeper's own view of the engines."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._engines: dict[tuple[str, bool], leases.Engine] = {}
        self._lost: dict[str, _Loss] = {}

    def run(self, use: int, start: int, lock: int) -> None:
        unused_since: float | None = None
        while True:
            time.sleep(_LOOK)
            with leases.alone(start):
                if not leases.is_last(use):
                    unused_since = None
                    self._look()
                    continue
                now = time.monotonic()
                unused_since = unused_since or now
                if now - unused_since > _GRACE:
                    self._stop()
                    os.close(lock)  # Before the start lock: who comes next gets a keeper of its own.
                    return
                fcntl.flock(use, fcntl.LOCK_UN)

    def _look(self) -> None:
        wanted = _wanted(self._state)
        if wanted.get(Postgres.name):
            with contextlib.suppress(OSError):  # Full again meanwhile: the next look tries again.
                if done := disk.trim(self._state):
                    _say("disk", done)
        for name, durable in wanted.items():
            if (name, durable) not in self._engines:
                self._engines[name, durable] = _ENGINES[name](self._state, durable=durable)
            engine = self._engines[name, durable]
            loss = self._lost.get(name)
            if loss is None:
                if engine.runs():
                    continue
                loss = self._lost[name] = _Loss(name)
            if loss.bring_back(engine):
                del self._lost[name]

    def _stop(self) -> None:
        _say("engines", "end: nobody uses them any more")
        for engine in reversed(_ENGINES.values()):
            engine(self._state, durable=True).stop()


class _Loss:
    """An engine that is gone, until it is back."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since = time.monotonic()
        self._due = self._since
        self._pause = _LOOK
        self._said = ""
        _say(name, "is gone; starting it again")

    def bring_back(self, engine: leases.Engine) -> bool:
        """Try, unless the last try is too short ago; say whether it runs again."""
        if time.monotonic() < self._due:
            return False
        try:
            engine.ensure()
        except (EmbeddedError, OSError) as error:
            trouble = " ".join(str(error).split())
            if trouble != self._said:
                self._said = trouble
                _say(self._name, f"{trouble} It is tried again.")
            self._due = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            return False
        _say(self._name, f"runs again after {time.monotonic() - self._since:.1f} s")
        return True


def _say(name: str, words: str) -> None:
    sys.stdout.write(f"{name} {words}\n")
    sys.stdout.flush()


def _file(state: Path, name: str) -> Path:
    return state / "locks" / name


def _wanted(state: Path) -> Mapping[str, bool]:
    """Return the engines that somebody started, each with whether it must be durable."""
    try:
        wanted: dict[str, bool] = json.loads(_file(state, "wanted").read_text())
    except FileNotFoundError:
        return {}
    return wanted


def _note(lock: int, pid: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def _lives(file: Path) -> bool:
    """Say whether a keeper lives: it holds its lock."""
    with private.opened(file, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _pid(file: Path) -> int | None:
    """Return the process ID of a living keeper."""
    if not file.exists() or not _lives(file):
        return None
    noted = file.read_text().strip()
    return int(noted) if noted.isdigit() else None
