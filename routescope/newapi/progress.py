"""A progress bar on a terminal; a line now and then anywhere else."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Protocol

_WIDTH = 30
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 10.0


class Output(Protocol):
    """What Django's commands write to."""

    def write(self, msg: str, style_func: None = None, ending: str | None = None) -> object: ...
    def isatty(self) -> bool: ...


class Bar:
    """Shows how far ``show`` says work has come towards ``total``."""

    def __init__(self, output: Output, total: int) -> None:
        self._output = output
        self._total = total
        self._started = time.monotonic()
        self._first: int | None = None
        self._shown = 0.0
        self._is_terminal = output.isatty()

    def show(self, done: int, what: str) -> None:
        """Show that ``done`` of the total is reached; ``what`` stands behind the percentage."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._shown < (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS):
            return
        self._shown = now
        share = min(done / self._total, 1.0) if self._total else 1.0
        text = f"{share:4.0%}  {what}{self._remaining(done, now)}"
        if self._is_terminal:
            filled = round(share * _WIDTH)
            self._output.write(f"\r[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}\033[K", None, "")
        else:
            self._output.write(text)

    def finish(self) -> None:
        if self._is_terminal and self._shown:
            self._output.write("\r\033[K", None, "")

    def _remaining(self, done: int, now: float) -> str:
        covered = done - (self._first or 0)
        if covered <= 0 or now - self._started < 1:
            return ""
        seconds = (now - self._started) / covered * max(self._total - done, 0)
        return f", {timedelta(seconds=round(seconds))} left"
