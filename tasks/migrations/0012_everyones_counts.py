"""Everybody's counts of tasks, found by the time."""

from __future__ import annotations

from django.db import migrations

_FORTH = """
CREATE INDEX tasks_sum_hour_start ON tasks_sum_hour (start);
CREATE INDEX tasks_sum_day_start ON tasks_sum_day (start);
"""
_BACK = """
DROP INDEX tasks_sum_hour_start;
DROP INDEX tasks_sum_day_start;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0011_unjudged"),
    ]

    operations = [migrations.RunSQL(_FORTH, _BACK)]
