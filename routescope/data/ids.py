"""Time-ordered ids that are derived, not drawn: the same event always gets the same id.

Layout: UUID version 8 (RFC 9562). The first 48 bits are Unix milliseconds, the other 74 free bits a hash of
what identifies the event. Ordering by id is ordering by time, and a range of time is a range of ids.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_VERSION = 8 << 76
_VARIANT = 2 << 62
_LOW_62 = (1 << 62) - 1
_LOW_12 = (1 << 12) - 1


def milliseconds(moment: datetime) -> int:
    """Return Unix milliseconds, rounded down. Raises ValueError before 1970."""
    value = (moment - EPOCH) // MILLISECOND
    if value < 0:
        raise ValueError("A time before 1970 has no id.")
    return value


def derived_id(moment: datetime, *parts: str | int) -> UUID:
    """Return the id of the event at ``moment`` that ``parts`` identify."""
    return UUID(bytes=derived_bytes(moment, *parts))


def derived_bytes(moment: datetime, *parts: str | int) -> bytes:
    """Return the 16 bytes of the same id, which sort as it does: a UUID object takes longer to make."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=10).digest()
    bits = int.from_bytes(digest, "big")
    value = milliseconds(moment) << 80 | _VERSION | (bits >> 62 & _LOW_12) << 64 | _VARIANT | bits & _LOW_62
    return value.to_bytes(16, "big")


def moved_id(identifier: UUID, moment: datetime) -> UUID:
    """Return the id of the same event at another moment."""
    return UUID(int=milliseconds(moment) << 80 | identifier.int & (1 << 80) - 1)


def first_id(moment: datetime) -> UUID:
    """Return the bound below every id of ``moment`` or later, and above every earlier one.

    There is none before 1970: what begins earlier, as a range may, begins with the first id there is.
    """
    return UUID(int=milliseconds(max(moment, EPOCH)) << 80)


def moment_of(identifier: UUID) -> datetime:
    """Return the time in an id, to the millisecond."""
    return EPOCH + timedelta(milliseconds=identifier.int >> 80)
