from pathlib import Path

from django.db import migrations, models


def _key(*columns):
    return models.CompositePrimaryKey(*columns, blank=True, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    """What records are found by beside their IDs: tags and metadata, and which of them pages offer."""

    dependencies = [("logs", "0011_traffic_slices")]

    operations = [
        migrations.CreateModel(
            name="OfferedValue",
            fields=[
                ("pk", _key("user_id", "key", "value")),
                ("user_id", models.IntegerField()),
                ("key", models.TextField()),
                ("value", models.TextField()),
                ("seen", models.DateField(help_text="UTC day of the last record that has it.")),
                ("is_beyond", models.BooleanField(default=False)),
            ],
            options={"db_table": "usage_offered_value", "default_permissions": ()},
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    (Path(__file__).parent / "0012_marks.sql").read_text(), "DROP TABLE usage_mark"
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="UsageMark",
                    fields=[
                        ("pk", _key("user_id", "digest", "id")),
                        ("digest", models.BigIntegerField()),
                        ("user_id", models.IntegerField()),
                        ("id", models.UUIDField()),
                    ],
                    options={"db_table": "usage_mark", "default_permissions": (), "managed": False},
                ),
            ],
        ),
    ]
