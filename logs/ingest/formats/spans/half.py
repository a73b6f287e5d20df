"""The two spans in which logfire reports a streamed call."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Half(msgspec.Struct, frozen=True):
    """One of the two spans of a streamed call, often in traces of their own.

    Both carry the same request: ``key``. ``met_at`` is when the first ended, or should have.
    """

    key: str
    is_usage: bool
    met_at: datetime
