"""One event, one line: what a request carries can end no line of the log and begin none, and no line holds a
link that opens an account.
"""

from __future__ import annotations

import logging
import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROLS_BUT_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


# Of an invitation and a password reset: whoever has the link is let in.
_ONE_TIME = re.compile(r"(/invite/[^/\s]+/|/password/reset/key/)[^/\s\"]+")


class LogLines(logging.Formatter):
    """Escapes control characters in a message, takes one-time links out, indents the lines of a traceback.

    A path with a line break, or an error that quotes one, would otherwise write lines of its own, with any
    time and level; terminal sequences would colour or hide others.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return _ONE_TIME.sub(r"\1[link]", _CONTROLS.sub(_escaped, super().formatMessage(record)))

    def formatException(self, ei: object) -> str:  # noqa: N802
        return _indented(super().formatException(ei))  # type: ignore[arg-type]

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _indented(text: str) -> str:
    text = _ONE_TIME.sub(r"\1[link]", _CONTROLS_BUT_LINES.sub(_escaped, text))
    return "\n".join(f"    {line}" for line in text.split("\n"))
