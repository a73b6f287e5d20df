"""Counts of tasks by whatever they are filtered by, kept by triggers."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations, models

_KEY = ("user_id", "start", "status", "type", "platform", "token_id", "model_id", "group_id")
_TABLES = {
    "TaskHour": "tasks_hour",
    "TaskDay": "tasks_day",
    "TaskSumPending": "tasks_sum_pending",
    "TaskHourFolded": "tasks_sum_hour",
    "TaskDayFolded": "tasks_sum_day",
}
_BACK = """
DROP VIEW tasks_hour;
DROP VIEW tasks_day;
DROP FUNCTION tasks_sum_added, tasks_sum_removed, tasks_sum_moved, tasks_sum_emptied CASCADE;
DROP TABLE tasks_sum_pending, tasks_sum_hour, tasks_sum_day;
"""


def _model(name: str, table: str) -> migrations.CreateModel:
    return migrations.CreateModel(
        name=name,
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    *_KEY, blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            ("user_id", models.IntegerField()),
            ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
            ("status", models.CharField(max_length=24)),
            ("type", models.CharField(max_length=16)),
            ("platform", models.CharField(max_length=64)),
            ("token_id", models.IntegerField()),
            ("model_id", models.IntegerField()),
            ("group_id", models.IntegerField()),
            ("tasks", models.BigIntegerField()),
        ],
        options={"db_table": table, "default_permissions": ()},
    )


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0008_responses"),
    ]

    operations = [
        migrations.RunSQL(
            (Path(__file__).parent / "0009_sums.sql").read_text(),
            _BACK,
            state_operations=[_model(name, table) for name, table in _TABLES.items()],
        ),
        migrations.AddIndex(
            model_name="asynctask",
            index=models.Index(
                condition=models.Q(("status__in", ["failed", "moderated", "expired"])),
                fields=["user", "id"],
                name="asynctask_failed",
            ),
        ),
        migrations.AddIndex(
            model_name="asynctask",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "running", "unknown"])),
                fields=["user", "id"],
                name="asynctask_open",
            ),
        ),
    ]
