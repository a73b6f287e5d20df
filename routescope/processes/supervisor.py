"""Run processes side by side: name their lines, restart what dies, stop everything in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
_TICK = 0.1  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_SOUND_AFTER = 60.0  # seconds; who ran that long starts over with the shortest pause
_TRIES_TO_BE_READY = 3
_READY_LIMIT = 120.0  # seconds

Say = Callable[[str, str], None]


class ServiceFailedError(RuntimeError):
    """A service that the rest depends on does not come up; the message holds its last words."""


@dataclass(frozen=True)
class Service:
    """One process to keep running."""

    name: str
    argv: Sequence[str | Path]
    environment: Mapping[str, str]
    patience: float = 5
    """Seconds it has to heed a SIGTERM."""
    ready: Callable[[], bool] | None = None
    """Asked until it says yes: the next service waits for that, and the run ends where it never comes."""
    finite: bool = False
    """Ending with status 0 is its end, not a failure."""


class Supervisor:
    """Keeps services running, from ``run()`` until ``stopping`` is set."""

    def __init__(self, services: Sequence[Service], say: Say, folder: Path) -> None:
        """``say(name, line)`` shows a line, from any thread; ``folder`` is where the services run."""
        self._children = [_Child(service, say, folder) for service in services]
        self.stopping = threading.Event()
        self.hurry = threading.Event()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start the services in order, each after the one before it is ready, and keep them running.

        Call from the main thread: on Linux children are tied to the thread that started them.
        Raises ServiceFailedError where one does not become ready.
        """
        told = False
        while not self.stopping.is_set():
            for child in self._children:
                child.look_after()
                if not child.is_ready():
                    break
            else:
                if not told:
                    told = True
                    when_ready()
            self.stopping.wait(_TICK)

    def stop(self) -> None:
        """Stop what runs, last started first, each within its patience; at once when ``hurry`` is set."""
        for child in reversed(self._children):
            child.end(self.hurry)


class _Child:
    """A service's process, and what became of those before it."""

    def __init__(self, service: Service, say: Say, folder: Path) -> None:
        self._service = service
        self._say = say
        self._folder = folder
        self._running: tuple[subprocess.Popen[bytes], threading.Thread] | None = None
        self._began = self._due = 0.0
        self._pause = _FIRST_PAUSE
        self._failures = 0
        self._ready = self._done = False
        self._last_words: deque[str] = deque(maxlen=30)

    def look_after(self) -> None:
        """Start it where it does not run and its pause is over. Raises ServiceFailedError."""
        if self._running is None:
            if not self._done and time.monotonic() >= self._due:
                self._start()
            return
        status = self._running[0].poll()
        if status is not None:
            self._reap()
            self._judge(status)

    def is_ready(self) -> bool:
        """Say whether it ever became ready. Raises ServiceFailedError where that takes too long."""
        if not self._ready and self._running is not None:
            self._ready = self._service.ready is None or self._service.ready()
            if not self._ready and time.monotonic() - self._began > _READY_LIMIT:
                raise ServiceFailedError(
                    f"{self._service.name} is not ready after {_READY_LIMIT:.0f} s. {self._said()}"
                )
        return self._ready

    def _said(self) -> str:
        return "\n".join(["It said:", *self._last_words]) if self._last_words else "It said nothing."

    def end(self, hurry: threading.Event) -> None:
        """Stop it within its patience, or at once when ``hurry`` is set."""
        if self._running is None:
            return
        process, _ = self._running
        if process.poll() is None and not hurry.is_set():
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + self._service.patience
            while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
                time.sleep(0.02)
        if process.poll() is None:
            self._say(self._service.name, "does not stop: killed")
        self._reap()

    def _start(self) -> tuple[subprocess.Popen[bytes], threading.Thread]:
        self._began = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", _TETHER, str(os.getpid()), *self._service.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._service.environment),
            cwd=self._folder,
            start_new_session=True,  # A Ctrl-C is ours to pass on, in order.
            umask=0o077,  # Whatever it writes is nobody else's to read.
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._running = process, reader
        reader.start()
        return self._running

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        for raw in process.stdout or ():
            if line := raw.decode(errors="replace").rstrip():
                self._last_words.append(line)
                self._say(self._service.name, line)

    def _judge(self, status: int) -> None:
        """Decide what follows its end."""
        name = self._service.name
        if self._service.finite and status == 0:
            self._done = self._ready = True
            return
        self._failures += 1
        if not self._ready and self._failures >= _TRIES_TO_BE_READY:
            raise ServiceFailedError(f"{name} does not start ({_ending(status)}). {self._said()}")
        if time.monotonic() - self._began > _SOUND_AFTER:
            self._pause = _FIRST_PAUSE
        self._due = time.monotonic() + self._pause
        self._say(name, f"ended ({_ending(status)}); starting it again in {self._pause:.0f} s")
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _reap(self) -> None:
        """Put the process away, and with it whatever is left of its children."""
        if self._running is None:
            return
        process, reader = self._running
        with contextlib.suppress(ProcessLookupError):  # Nothing is left of its session.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(5)
        if process.stdout is not None and not reader.is_alive():
            process.stdout.close()
        self._running = None


def _ending(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
