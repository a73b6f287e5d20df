"""One terminal for several processes: each line carries the name of who said it."""

from __future__ import annotations

import os
import threading
from typing import IO

_WIDTH = 8
_COLOURS = {"web": 36, "worker": 33, "beat": 35, "traffic": 34, "demo": 32}


class Lines:
    """Writes whole lines, from any thread."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._coloured = stream.isatty() and "NO_COLOR" not in os.environ

    def say(self, name: str, line: str) -> None:
        """Write a line under a process's name."""
        shown = f"{name:<{_WIDTH}}|"
        if self._coloured:
            shown = f"\033[{_COLOURS.get(name, 37)}m{shown}\033[0m"
        self.tell(f"{shown} {line}")

    def tell(self, line: str) -> None:
        """Write a line of our own. Once nobody reads any more, lines go nowhere: the processes run on."""
        with self._lock:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except BrokenPipeError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
