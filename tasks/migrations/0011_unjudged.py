"""Where tasks are that have yet to be judged. Tasks are written meanwhile."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tasks", "0010_cause_in_sums")]

    operations = [
        AddIndexConcurrently(
            model_name="asynctask",
            index=models.Index(
                condition=models.Q(
                    ("cause", ""),
                    models.Q(
                        ("status__in", ["failed", "moderated", "cancelled", "expired"]),
                        models.Q(
                            ("status", "partially_succeeded"),
                            models.Q(("failure_message", ""), _negated=True),
                        ),
                        _connector="OR",
                    ),
                ),
                fields=["id"],
                name="asynctask_unjudged",
            ),
        ),
    ]
