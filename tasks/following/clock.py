"""The one clock that leases, pauses and due times are kept by: the database's.

Web servers and workers have clocks of their own, which differ. All of them may step back; what lies further
ahead than anything is ever set is then taken for due (``waits.longest_wait``, ``claims``).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

SLACK = timedelta(seconds=5)
"""How far a clock may step back without anything being taken for set wrongly."""


def now() -> datetime:
    """Return the time by the database, in UTC. Raises OperationalError if it cannot be reached."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone() or (None,)
    assert isinstance(moment, datetime)  # noqa: S101  # for the type: a SELECT of a value brings one
    return moment
