from pathlib import Path

from django.db import migrations, models
from django.db.models import Q

KINDS = [(0, "Between calls"), (1, "A call"), (2, "The beginning of a stream"), (3, "The end of a stream")]


class Migration(migrations.Migration):
    """What is kept of spans for a while, and the IDs by which records are found beside their own."""

    dependencies = [("logs", "0004_units_and_tiers")]

    operations = [
        # Halves of streams wait among the other spans.
        migrations.DeleteModel(name="SpanHalf"),
        migrations.CreateModel(
            name="KnownSpan",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "gateway_id",
                        "trace_id",
                        "span_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("gateway_id", models.IntegerField()),
                ("trace_id", models.UUIDField()),
                ("span_id", models.BigIntegerField()),
                ("parent_id", models.BigIntegerField(null=True)),
                ("kind", models.SmallIntegerField(choices=KINDS)),
                (
                    "meet_key",
                    models.UUIDField(
                        help_text="A hash of what spans share that know nothing else of each other.",
                        null=True,
                    ),
                ),
                (
                    "met_at",
                    models.DateTimeField(help_text="When a stream's first half ended, or a call.", null=True),
                ),
                ("user_id", models.IntegerField(null=True)),
                (
                    "record_id",
                    models.UUIDField(
                        help_text="Empty: the sum of other calls, and no call itself.", null=True
                    ),
                ),
                ("told", models.BinaryField(help_text="What a call's span counted.", null=True)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "db_table": "usage_span",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=Q(meet_key__isnull=False),
                        fields=["gateway_id", "meet_key", "met_at"],
                        name="usage_span_meet",
                    ),
                    models.Index(
                        condition=Q(record_id__isnull=False),
                        fields=["gateway_id", "record_id"],
                        name="usage_span_record",
                    ),
                    models.Index(fields=["expires_at"], name="usage_span_expires_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SpanContent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("gateway_id", models.IntegerField()),
                ("trace_id", models.UUIDField()),
                ("span_id", models.BigIntegerField()),
                ("body", models.BinaryField()),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "db_table": "usage_span_content",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        fields=["gateway_id", "trace_id", "span_id"], name="usage_span_content_span"
                    ),
                    models.Index(fields=["received_at"], name="usage_span_content_at"),
                ],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL((Path(__file__).parent / "0005_spans.sql").read_text()),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="FurtherId",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "digest", "id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("digest", models.BigIntegerField()),
                        ("user_id", models.IntegerField()),
                        ("id", models.UUIDField()),
                    ],
                    options={"db_table": "usage_further_id", "default_permissions": (), "managed": False},
                ),
            ],
        ),
    ]
