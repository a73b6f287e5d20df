from pathlib import Path

from django.db import migrations, models

SUMS = (
    "UsageHour",
    "UsageDay",
    "UsageTotalHour",
    "UsageTotalDay",
    "UsagePending",
    "UsageHourFolded",
    "UsageDayFolded",
    "UsageTotalHourFolded",
    "UsageTotalDayFolded",
)
FIELDS = {
    "max_cost": models.DecimalField(decimal_places=12, max_digits=24, null=True),
    "max_duration_ms": models.IntegerField(null=True),
    "max_tokens": models.BigIntegerField(null=True),
}


class Migration(migrations.Migration):
    """What no record of a sum exceeds: where the dearest, slowest and largest calls are."""

    dependencies = [("logs", "0006_further_ids")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL((Path(__file__).parent / "0007_bounds.sql").read_text()),
            ],
            state_operations=[
                *(
                    migrations.AddField(model_name=model, name=name, field=field)
                    for model in SUMS
                    for name, field in FIELDS.items()
                ),
                migrations.CreateModel(
                    name="UnboundedDay",
                    fields=[
                        (
                            "start",
                            models.DateTimeField(
                                help_text="Start of the UTC day.", primary_key=True, serialize=False
                            ),
                        ),
                    ],
                    options={"db_table": "usage_unbounded_day", "default_permissions": ()},
                ),
            ],
        ),
    ]
