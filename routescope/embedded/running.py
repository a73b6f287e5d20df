"""Whether a process named by a pid file is still the one that wrote it: process IDs are used again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PROC = Path("/proc/self/cmdline")


def is_process(pid: int, *words: str) -> bool:
    """Say whether the process lives and its command line holds every one of the words."""
    if _PROC.exists():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        shown = subprocess.run(  # noqa: S603
            ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        line = shown.stdout
    return all(word in line for word in words)  # A zombie's command line is empty.


def listens(path: Path) -> bool:
    """Say whether somebody accepts connections on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def end(
    pid: Callable[[], int | None],
    steps: Sequence[tuple[signal.Signals, float]],
    child: subprocess.Popen[bytes] | None,
) -> bool:
    """Send each signal in turn, with seconds to heed it, until the process is gone; say whether it is.

    ``child`` is the process where we started it ourselves: it is reaped.
    """
    for number, limit in steps:
        living = pid()
        if living is None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(living, number)
        if wait(lambda: pid() is None, limit):
            break
    else:
        return pid() is None
    if child is not None:
        child.wait(10)
    return True


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds, for at most so many seconds; say whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
