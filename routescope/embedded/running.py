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


def is_process(pid: int, program: str, argument: str) -> bool:
    """Say whether the process lives, runs the program, and was given the argument."""
    if not _PROC.exists():
        command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
        line = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
        return program in line and argument in line
    try:
        words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A zombie's command line is empty.
    return program in Path(words[0]).name and argument in words[1:]


def in_folder(folder: Path) -> list[int]:
    """Return the processes whose working folder this is, as far as we may know; none without a /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # Gone meanwhile, or somebody else's.
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found


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
