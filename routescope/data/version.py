"""Which PostgreSQL the database is on, and which one it must be at least."""

from __future__ import annotations

from collections.abc import Sequence

from django.core import checks
from django.db import connections

OLDEST = 15


def trouble(alias: str = "default") -> str | None:
    """Return a sentence where the database's PostgreSQL is too old. Raises OperationalError."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        [found] = cursor.fetchone()
    if found >= OLDEST:
        return None
    return f"The database is on PostgreSQL {found}: Routescope needs {OLDEST} or later."


def check(databases: Sequence[str] | None = None, **kwargs: object) -> list[checks.CheckMessage]:
    """Tell ``migrate`` and ``check --database``."""
    found = (trouble(alias) for alias in databases or ())
    return [checks.Error(sentence, id="routescope.E001") for sentence in found if sentence]
