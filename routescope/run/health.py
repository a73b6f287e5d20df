"""``/livez`` and ``/readyz``: whether the process answers, and whether it can do its work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from routescope.run.pools import Pool, PoolJob

LIMIT_SECONDS = 1.0
"""The database has to answer within."""

OK = "ok"


@dataclass(frozen=True)
class Readiness:
    """What is said of each part: ``OK``, or what is wrong with it."""

    database: str
    migrations: str

    @property
    def is_ready(self) -> bool:
        return self.database == self.migrations == OK


class Health:
    """Asks the database one thing at a time, from a thread of its own, however often it is asked itself."""

    def __init__(self) -> None:
        self._pool: Pool[Readiness] = Pool("health", 1, most=1, most_each=1, patience=LIMIT_SECONDS)
        self._job: PoolJob[Readiness] | None = None

    async def readiness(self) -> Readiness:
        """Return how it stands now, within ``LIMIT_SECONDS``."""
        if self._job is None or self._job.outcome.done():
            self._job = self._pool.submit("", _ask)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await asyncio.shield(self._job.outcome)
        except TimeoutError:
            return Readiness(f"gave no answer within {LIMIT_SECONDS:g} s", "not known")


def load_migrations() -> None:
    """Read which migrations the code has: once, before the processes part."""
    global _wanted
    if _wanted is None:
        disk = MigrationLoader(None).disk_migrations
        _wanted = {key: frozenset(migration.replaces) for key, migration in disk.items()}


_wanted: dict[tuple[str, str], frozenset[tuple[str, str]]] | None = None
"""Each migration with those that it replaces."""


def _ask() -> Readiness:
    try:
        connection.close_if_unusable_or_obsolete()
        applied = set(MigrationRecorder(connection).applied_migrations())
    except Error:
        connection.close()
        return Readiness("cannot be reached", "not known")
    missing = _missing(applied)
    return Readiness(OK, f"{len(missing)} not applied, {missing[0]} first" if missing else OK)


def _missing(applied: set[tuple[str, str]]) -> list[str]:
    """Return the migrations that the database lacks, in the order of their names."""
    load_migrations()
    wanted = _wanted or {}
    done = applied | {key for key, replaced in wanted.items() if replaced and replaced <= applied}
    # One that stands for others counts for them too.
    done |= {old for key, replaced in wanted.items() if key in done for old in replaced}
    return [f"{app}.{name}" for app, name in sorted(set(wanted) - done)]
