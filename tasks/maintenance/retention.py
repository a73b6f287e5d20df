"""Tasks go with the records' months, and what they made with the content's days.

Tasks are far fewer than calls: rows are deleted, some at a time, each with its timeline.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.staff import audit
from accounts.staff.audit import SCHEDULER
from routescope.data.ids import first_id
from routescope.data.partitions import Day, Month

_AT_ONCE = 5_000
_OLD = "SELECT id FROM tasks_asynctask WHERE id < %s ORDER BY id LIMIT %s"
# What a task made is with the other content. Of those that came before it was, text stands in the row.
_WITH_TEXT = "SELECT id FROM tasks_asynctask WHERE id < %s AND result @? '$[*].text' ORDER BY id LIMIT %s"
_WITHOUT_TEXT = """
    UPDATE tasks_asynctask SET result = (
        SELECT jsonb_agg(
            CASE WHEN piece ? 'text' THEN (piece - 'text') || '{"stored": 0}' ELSE piece END ORDER BY at
        )
        FROM jsonb_array_elements(result) WITH ORDINALITY AS pieces (piece, at)
    ) WHERE id = ANY(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """How many tasks, and texts of tasks, a run deleted; or would, if it is dry."""

    dry: bool
    tasks: int
    texts: int

    @property
    def lines(self) -> list[str]:
        """The report in words, for an operator's terminal."""
        would = "would be " if self.dry else ""
        counted = (("tasks", self.tasks), ("texts of tasks", self.texts))
        return [f"{what}: {count:,} {would}deleted" for what, count in counted if count]


def run(*, dry: bool = False, now: datetime | None = None, by: str = SCHEDULER) -> RetentionReport:
    """Delete tasks that are older than records are kept, and texts that are older than content is.

    What is deleted stands in the audit log; ``by`` says in words who ran it. May be broken off and run again.
    """
    now = now or timezone.now()
    oldest = Month.of(now).plus(-settings.RECORD_RETENTION_MONTHS).start
    oldest_text = Day.of(now).plus(-settings.CONTENT_RETENTION_DAYS).start
    # One statement: a task is never without its timeline.
    gone = """
        WITH gone AS (DELETE FROM tasks_taskevent WHERE task_id = ANY(%(ids)s))
        DELETE FROM tasks_asynctask WHERE id = ANY(%(ids)s)
    """
    deleted = _each(_OLD, oldest, gone, f"tasks of before {oldest:%Y-%m-%d}: %s deleted", dry, by)
    told = f"texts of tasks of before {oldest_text:%Y-%m-%d}: %s deleted"
    return RetentionReport(dry, deleted, _each(_WITH_TEXT, oldest_text, _WITHOUT_TEXT, told, dry, by))


def _each(found: str, before: datetime, statement: str, told: str, dry: bool, by: str) -> int:
    """Run a statement on what is found, some at a time; the audit entry is written with the first of them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({found}) AS found", [first_id(before), None])  # noqa: S608
        [count] = cursor.fetchone()
        if dry or not count:
            return int(count)
        is_told = False
        while True:
            with transaction.atomic():
                if not (ids := _some(cursor, found, first_id(before))):
                    return int(count)
                cursor.execute(statement, {"ids": ids})
                if not is_told:
                    audit.note_unattended(AuditEntry.Act.RETENTION, told % f"{count:,}", by)
                    is_told = True


def _some(cursor: CursorWrapper, statement: str, before: UUID) -> list[UUID]:
    cursor.execute(statement, [before, _AT_ONCE])
    return [identifier for (identifier,) in cursor.fetchall()]
