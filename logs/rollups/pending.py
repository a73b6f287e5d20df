"""Sums on their way into the rollups: appended with the records, folded in by one process at a time.

Upserting four rollups for every batch would cost more than storing its records, and batches that touch the
same sums would wait for each other. So a transaction only appends what it adds (``usage_pending``), and what
many of them appended is folded in together. The views that are read hold both: the sums are exact after every
commit, whether folded or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.backends.utils import CursorWrapper

from routescope.data import limits, troubles
from routescope.data.ids import EPOCH
from routescope.data.limits import limited
from routescope.wire.reading import SUM_DIGITS

FOLD_AT = 10_000
"""So many rows appended by this process make it fold: all users' sums read whatever waits."""
FOLD_BESIDE = 2 * FOLD_AT
"""Rows that a request then folds at most: more than made it do so, so that what waits cannot grow."""

_SQL = Path(__file__).parent / "sql"
APPEND = (_SQL / "append.sql").read_text()
"""The rest of a statement that changes records: see there."""
_FOLD = (_SQL / "fold.sql").read_text()
_FORGET_EMPTY = (_SQL / "forget_empty.sql").read_text()
_FOLD_MINUTES = (_SQL / "fold_minutes.sql").read_text()
LOCK = "hashtext('fold sums of usage')"
"""The advisory lock of whoever folds: with it, what is folded in stays as it is."""
_PATIENCE = "2min"
"""Longer than for other locks: nobody queues behind who waits for this one."""
_AT_ONCE = 100_000
_COPY = (
    "COPY usage_pending (start, day, user_id, token_id, model_id, group_id, type, status, cause, records,"
    " unpriced, input_tokens, output_tokens, cached_tokens, cost, max_cost, max_duration_ms, max_tokens,"
    " has_minutes) FROM STDIN (FORMAT BINARY)"
)
_COPY_MINUTES = (
    "COPY usage_minute_pending (start, type, status, cause, records, unpriced, input_tokens, output_tokens,"
    " cached_tokens, cost) FROM STDIN (FORMAT BINARY)"
)
_MINUTE_TYPES = ["timestamptz", *["int2"] * 3, *["int8"] * 5, "numeric"]
_TYPES = [
    *["timestamptz"] * 2,
    *["int4"] * 4,
    *["int2"] * 3,
    *["int8"] * 5,
    "numeric",
    "numeric",
    "int4",
    "int8",
    "bool",
]
_NOTHING = Decimal(0)
_HOUR, _MINUTE = 3_600_000, 60_000
"""Milliseconds."""

SUMMED = (
    "id",
    "user_id",
    "token_id",
    "model_id",
    "group_id",
    "type",
    "status",
    "cause",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost",
    "duration_ms",
)
"""What of a record the sums are made of. The time is that of its id, whose bytes are wanted."""


@dataclass(slots=True)
class _Appended:
    rows: int = 0


_appended = _Appended()


def append(records: Iterable[tuple[Any, ...]]) -> None:
    """Append what new records add to the sums, in the transaction that stores them.

    Records are their values of `SUMMED`.
    """
    with localcontext(prec=SUM_DIGITS):
        _append(records)


def _append(records: Iterable[tuple[Any, ...]]) -> None:
    sums: dict[tuple[Any, ...], list[Any]] = {}
    minutes: dict[tuple[int, int, int, int], list[Any]] = {}
    for (
        at, user, token, model, group, kind, status, cause, tokens_in, tokens_out, cached, cost, lasted,
    ) in records:  # fmt: skip
        moment = int.from_bytes(at[:6], "big")
        of_minute = minutes.get((moment // _MINUTE, kind, status, cause))
        if of_minute is None:
            minutes[moment // _MINUTE, kind, status, cause] = [
                1, int(cost is None), tokens_in, tokens_out, cached, cost or _NOTHING,
            ]  # fmt: skip
        else:
            of_minute[0] += 1
            of_minute[2] += tokens_in
            of_minute[3] += tokens_out
            of_minute[4] += cached
            if cost is None:
                of_minute[1] += 1
            else:
                of_minute[5] += cost
        hour = moment // _HOUR
        key = (hour, user, token or 0, model or 0, group or 0, kind, status, cause)
        tokens = tokens_in + tokens_out
        row = sums.get(key)
        if row is None:
            sums[key] = [
                1, int(cost is None), tokens_in, tokens_out, cached, cost or _NOTHING, cost, lasted, tokens,
            ]  # fmt: skip
            continue
        row[0] += 1
        row[2] += tokens_in
        row[3] += tokens_out
        row[4] += cached
        if cost is None:
            row[1] += 1
        else:
            row[5] += cost
            if row[6] is None or cost > row[6]:
                row[6] = cost
        # Not `max`: this runs for every record.
        if lasted is not None and (row[7] is None or lasted > row[7]):
            row[7] = lasted
        if tokens > row[8]:
            row[8] = tokens
    starts = {hour: EPOCH + timedelta(hours=hour) for hour in {key[0] for key in sums}}
    days = {hour: start.replace(hour=0) for hour, start in starts.items()}
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for (hour, *of), row in sums.items():
            copy.write_row((starts[hour], days[hour], *of, *row, True))
    with connection.cursor() as cursor, cursor.copy(_COPY_MINUTES) as copy:
        copy.set_types(_MINUTE_TYPES)
        for (minute, *what), row in minutes.items():
            copy.write_row((EPOCH + timedelta(minutes=minute), *what, *row))
    _appended.rows += len(sums)
    if _appended.rows >= FOLD_AT:
        # After the commit, which makes them seen. Whatever comes of it: the records are kept.
        transaction.on_commit(_fold_what_was_appended, robust=True)


def fold() -> int:
    """Fold what waits into the rollups; return how many rows. 0 where another process is at it."""
    folded = 0
    while True:
        count = _fold_some(_AT_ONCE)
        folded += count or 0
        if count is None or count < _AT_ONCE:
            break
    if not connection.in_atomic_block:
        # Readers would go through what is gone until autovacuum comes by, half a minute later.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM (SKIP_LOCKED) usage_pending")
    return folded


def hold(cursor: CursorWrapper) -> None:
    """Keep others from folding until the transaction ends: what is folded in stays as it is meanwhile.

    Raises OperationalError where somebody else has that right for two minutes.
    """
    cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
    cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")


def _fold_some(most: int) -> int | None:
    """Fold so many rows at most, in one transaction; return how many. None where another process is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock({LOCK})")
        if cursor.fetchone() != (True,):
            return None
        cursor.execute(_FOLD, {"most": most})
        [count, users, starts] = cursor.fetchone()
        if users:
            cursor.execute(_FORGET_EMPTY, {"users": users, "starts": starts})
        cursor.execute(_FOLD_MINUTES, {"most": most})
    return int(count)


def _fold_what_was_appended() -> None:
    """Fold a bounded share, in a bounded time: a gateway waits for its answer. The job folds the rest."""
    _appended.rows = 0
    try:
        with limited(limits.BESIDE):
            _fold_some(FOLD_BESIDE)
    except DatabaseError as error:
        if troubles.tell(error, "folding sums after a batch, which the next batches do") is None:
            raise
