"""Tasks are counted by cause. Those that are here are judged later, by a job (`tasks.maintenance.judging`)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from django.db import migrations, models

_HERE = Path(__file__).parent
_SUMS = import_module("tasks.migrations.0009_sums")
_KEY = (*_SUMS._KEY, "cause")
# The default is that of the rows that are here: none is rewritten.
_ROLLUPS = "".join(
    f"""
    ALTER TABLE {table} ADD COLUMN cause varchar(24) NOT NULL DEFAULT '', DROP CONSTRAINT {table}_pkey,
        ADD CONSTRAINT {table}_pkey PRIMARY KEY ({", ".join(_KEY)});
    """
    for table in ("tasks_sum_hour", "tasks_sum_day")
)


def _model(name: str, table: str) -> migrations.CreateModel:
    made = _SUMS._model(name, table)
    (pk, _), *fields = made.fields
    key = models.CompositePrimaryKey(*_KEY, blank=True, editable=False, primary_key=True, serialize=False)
    made.fields = [(pk, key), *fields[:-1], ("cause", models.CharField(max_length=24)), fields[-1]]
    return made


class Migration(migrations.Migration):
    """Back from it, the counts are made anew, as 0009 makes them."""

    dependencies = [("tasks", "0009_sums")]

    operations = [
        # First what takes longest, while tasks are still written.
        migrations.RunSQL(
            _ROLLUPS,
            (_HERE / "0009_sums.sql").read_text(),
            state_operations=[
                operation
                for name, table in _SUMS._TABLES.items()
                for operation in (migrations.DeleteModel(name), _model(name, table))
            ],
        ),
        # What was judged before a reason was cut is not counted: it may be of a task that has not ended.
        migrations.RenameField("asynctask", "cause", "cause_uncut"),
        migrations.AddField(
            "asynctask",
            "cause",
            models.CharField(blank=True, db_default="", default="", editable=False, max_length=24),
        ),
        migrations.RunSQL((_HERE / "0010_cause_in_sums.sql").read_text(), _SUMS._BACK),
    ]
