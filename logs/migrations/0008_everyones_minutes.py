from pathlib import Path

from django.db import migrations, models

TYPES = [(1, "Request"), (2, "Task submission"), (3, "Refund"), (4, "Adjustment")]
STATUSES = [(1, "Success"), (2, "Error")]
CAUSES = [
    (0, "None"),
    (1, "Parameters"),
    (2, "Permission"),
    (3, "Balance"),
    (4, "Rate limit"),
    (5, "Content policy"),
    (6, "Context length"),
    (7, "Model response"),
    (8, "Timeout"),
    (9, "Client closed"),
    (10, "Gateway"),
    (11, "Unknown"),
]
TABLES = {
    "UsageTotalMinute": "usage_total_minute",
    "UsageTotalMinuteFolded": "usage_total_minute_folded",
    "UsageMinutePending": "usage_minute_pending",
}
BACK = """
DROP INDEX usage_hour_folded_start;
DROP INDEX usage_day_folded_start;
DROP TABLE usage_uncounted_day;
ALTER TABLE usage_pending DROP COLUMN has_minutes;
DROP VIEW usage_total_minute;
DROP TABLE usage_minute_pending;
DROP TABLE usage_total_minute_folded;
"""


def minutes(name, table):
    """Return the model of a table or view of everybody's sums by minute."""
    return migrations.CreateModel(
        name,
        [
            ("start", models.DateTimeField(help_text="Start of the minute.")),
            ("type", models.SmallIntegerField(choices=TYPES)),
            ("status", models.SmallIntegerField(choices=STATUSES)),
            ("cause", models.SmallIntegerField(choices=CAUSES)),
            ("records", models.BigIntegerField()),
            ("unpriced", models.BigIntegerField(help_text="Of the records, those without a known price.")),
            ("input_tokens", models.BigIntegerField()),
            ("output_tokens", models.BigIntegerField()),
            ("cached_tokens", models.BigIntegerField()),
            ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
            (
                "pk",
                models.CompositePrimaryKey(
                    "start",
                    "type",
                    "status",
                    "cause",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
        ],
        {"db_table": table, "default_permissions": ()},
    )


class Migration(migrations.Migration):
    """What pages of everybody's records read: their minutes, and sums of users found by the time."""

    dependencies = [("logs", "0007_bounds")]

    operations = [
        migrations.RunSQL(
            (Path(__file__).parent / "0008_everyones_minutes.sql").read_text(),
            BACK,
            state_operations=[
                *(minutes(name, table) for name, table in TABLES.items()),
                migrations.AddField(
                    model_name="usagepending",
                    name="has_minutes",
                    field=models.BooleanField(default=False),
                ),
                migrations.CreateModel(
                    name="UncountedDay",
                    fields=[
                        (
                            "start",
                            models.DateTimeField(
                                help_text="Start of the UTC day.", primary_key=True, serialize=False
                            ),
                        ),
                    ],
                    options={"db_table": "usage_uncounted_day", "default_permissions": ()},
                ),
            ],
        ),
    ]
