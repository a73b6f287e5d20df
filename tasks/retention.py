"""Tasks go with the records' months, and what they made with the content's days.

Tasks are far fewer than calls: rows are deleted, some at a time, each with its timeline.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from routescope.ids import first_id
from routescope.partitions import Day, Month

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
    ) WHERE id = ANY(%s)
"""


def run(*, dry: bool = False, now: datetime | None = None) -> dict[str, int]:
    """Delete tasks that are older than records are kept, and texts that are older than content is.

    Returns how many there were of each; nothing is deleted in a dry run. May be broken off and run again.
    """
    now = now or timezone.now()
    oldest = first_id(Month.of(now).plus(-settings.RECORD_RETENTION_MONTHS).start)
    oldest_text = first_id(Day.of(now).plus(-settings.CONTENT_RETENTION_DAYS).start)
    found = {"tasks": 0, "texts of tasks": 0}
    with connection.cursor() as cursor:
        if dry:
            looked_for = {"tasks": (_OLD, oldest), "texts of tasks": (_WITH_TEXT, oldest_text)}
            for name, (statement, before) in looked_for.items():
                cursor.execute(f"SELECT count(*) FROM ({statement}) AS found", [before, None])  # noqa: S608
                [found[name]] = cursor.fetchone()
            return found
        while ids := _some(cursor, _OLD, oldest):
            # One statement: a task is never without its timeline.
            cursor.execute(
                "WITH gone AS (DELETE FROM tasks_taskevent WHERE task_id = ANY(%s))"
                " DELETE FROM tasks_asynctask WHERE id = ANY(%s)",
                [ids, ids],
            )
            found["tasks"] += cursor.rowcount
        while ids := _some(cursor, _WITH_TEXT, oldest_text):
            cursor.execute(_WITHOUT_TEXT, [ids])
            found["texts of tasks"] += cursor.rowcount
    return found


def _some(cursor: CursorWrapper, statement: str, before: UUID) -> list[UUID]:
    cursor.execute(statement, [before, _AT_ONCE])
    return [identifier for (identifier,) in cursor.fetchall()]
