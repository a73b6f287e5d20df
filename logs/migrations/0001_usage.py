from pathlib import Path

import django.db.models.deletion
from django.conf import settings
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
LEVELS = [
    (1, "Off: nothing is kept"),
    (2, "Redacted: kept without secrets, e-mail addresses, phone and card numbers"),
    (3, "Full: kept as sent"),
]
OF_EVERYBODY = ("start", "model_id", "group_id", "type", "status", "cause")
OF_A_USER = ("user_id", "start", "token_id", "model_id", "group_id", "type", "status", "cause")


def sums(name, table, key):
    """Return the model of a table or view of sums."""
    fields = [
        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
        ("model_id", models.IntegerField()),
        ("group_id", models.IntegerField()),
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
            models.CompositePrimaryKey(*key, blank=True, editable=False, primary_key=True, serialize=False),
        ),
    ]
    if "user_id" in key:
        fields += [("user_id", models.IntegerField()), ("token_id", models.IntegerField())]
    return migrations.CreateModel(name, fields, {"db_table": table, "default_permissions": ()})


class Migration(migrations.Migration):
    """What the first migrations made and later ones remade: nobody rebuilds an index of the largest table."""

    replaces = [("logs", "0001_initial"), ("logs", "0005_usage_content"), ("logs", "0006_pending_sums")]
    initial = True
    dependencies = [
        ("accounts", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # Tables as Django would make them lack partitions, composite primary keys and included columns.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL((Path(__file__).parent / "0001_usage.sql").read_text()),
            ],
            state_operations=[
                sums("UsageDay", "usage_day", OF_A_USER),
                sums("UsageDayFolded", "usage_day_folded", OF_A_USER),
                sums("UsageHour", "usage_hour", OF_A_USER),
                sums("UsageHourFolded", "usage_hour_folded", OF_A_USER),
                sums("UsagePending", "usage_pending", OF_A_USER),
                sums("UsageTotalDay", "usage_total_day", OF_EVERYBODY),
                sums("UsageTotalDayFolded", "usage_total_day_folded", OF_EVERYBODY),
                sums("UsageTotalHour", "usage_total_hour", OF_EVERYBODY),
                sums("UsageTotalHourFolded", "usage_total_hour_folded", OF_EVERYBODY),
                migrations.CreateModel(
                    name="TrafficHour",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "user_id",
                                "start",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("user_id", models.IntegerField()),
                        ("start", models.DateTimeField(help_text="Start of the UTC hour.")),
                        ("requests", models.BigIntegerField()),
                        ("errors", models.BigIntegerField()),
                        ("rate_limited", models.BigIntegerField()),
                        ("tokens", models.BigIntegerField()),
                        ("peak_rpm", models.BigIntegerField()),
                        ("peak_tpm", models.BigIntegerField()),
                        (
                            "peak_rpm_minute",
                            models.SmallIntegerField(
                                help_text="Of the hour, 0 to 59: the earliest of equals."
                            ),
                        ),
                        ("peak_tpm_minute", models.SmallIntegerField()),
                        ("is_stale", models.BooleanField(help_text="Records were added or changed since.")),
                    ],
                    options={
                        "db_table": "usage_traffic_hour",
                        "default_permissions": (),
                    },
                ),
                migrations.CreateModel(
                    name="UsageContent",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("user_id", models.IntegerField()),
                        ("level", models.SmallIntegerField(choices=LEVELS)),
                        ("input_bytes", models.IntegerField(null=True)),
                        ("output_bytes", models.IntegerField(null=True)),
                        ("is_truncated", models.BooleanField()),
                        ("key_id", models.TextField()),
                        ("body", models.BinaryField()),
                    ],
                    options={
                        "db_table": "usage_content",
                        "default_permissions": ("view",),
                    },
                ),
                migrations.CreateModel(
                    name="UsageRecord",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        (
                            "created_at",
                            models.DateTimeField(
                                help_text="When the request reached the gateway.", verbose_name="time"
                            ),
                        ),
                        ("type", models.SmallIntegerField(choices=TYPES, verbose_name="type")),
                        ("status", models.SmallIntegerField(choices=STATUSES, verbose_name="status")),
                        ("cause", models.SmallIntegerField(choices=CAUSES, default=0, verbose_name="cause")),
                        ("http_status", models.SmallIntegerField(null=True, verbose_name="HTTP status")),
                        ("stream", models.BooleanField(null=True, verbose_name="stream")),
                        ("duration_ms", models.IntegerField(null=True, verbose_name="duration")),
                        ("ttft_ms", models.IntegerField(null=True, verbose_name="time to first token")),
                        ("input_tokens", models.IntegerField(default=0, verbose_name="input tokens")),
                        ("output_tokens", models.IntegerField(default=0, verbose_name="output tokens")),
                        ("cached_tokens", models.IntegerField(default=0, verbose_name="cached tokens")),
                        (
                            "cache_write_tokens",
                            models.IntegerField(null=True, verbose_name="cache write tokens"),
                        ),
                        ("reasoning_tokens", models.IntegerField(null=True, verbose_name="reasoning tokens")),
                        (
                            "audio_input_tokens",
                            models.IntegerField(null=True, verbose_name="audio input tokens"),
                        ),
                        (
                            "audio_output_tokens",
                            models.IntegerField(null=True, verbose_name="audio output tokens"),
                        ),
                        ("image_count", models.IntegerField(null=True, verbose_name="images")),
                        (
                            "cost",
                            models.DecimalField(
                                decimal_places=12, max_digits=24, null=True, verbose_name="cost"
                            ),
                        ),
                        ("request_id", models.TextField(verbose_name="request ID")),
                        (
                            "upstream_request_id",
                            models.TextField(null=True, verbose_name="upstream request ID"),
                        ),
                        ("task_id", models.TextField(null=True, verbose_name="task ID")),
                        ("endpoint", models.TextField(null=True, verbose_name="endpoint")),
                        ("provider", models.TextField(null=True, verbose_name="provider")),
                        ("channel", models.TextField(null=True, verbose_name="channel")),
                        ("ip", models.GenericIPAddressField(null=True, verbose_name="IP address")),
                        ("user_agent", models.TextField(null=True, verbose_name="user agent")),
                        ("error_type", models.TextField(null=True, verbose_name="error type")),
                        ("error_code", models.TextField(null=True, verbose_name="error code")),
                        ("error_message", models.TextField(null=True, verbose_name="error message")),
                        ("error_param", models.TextField(null=True, verbose_name="error parameter")),
                        ("parameters", models.JSONField(null=True, verbose_name="request parameters")),
                        (
                            "quantities",
                            models.JSONField(
                                help_text="Counts the gateway sent that have no column of their own.",
                                null=True,
                                verbose_name="further quantities",
                            ),
                        ),
                        (
                            "billing",
                            models.JSONField(
                                help_text="Unit prices, ratios and lines as the gateway sent them.",
                                null=True,
                                verbose_name="billing",
                            ),
                        ),
                        ("attempts", models.JSONField(null=True, verbose_name="attempts")),
                        ("metadata", models.JSONField(null=True, verbose_name="metadata")),
                        (
                            "content",
                            models.SmallIntegerField(
                                choices=LEVELS,
                                help_text="The policy under which content came. Empty: none was sent.",
                                null=True,
                                verbose_name="content",
                            ),
                        ),
                        (
                            "gateway",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="accounts.gateway",
                                verbose_name="gateway",
                            ),
                        ),
                        (
                            "group",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="accounts.group",
                                verbose_name="group",
                            ),
                        ),
                        (
                            "model",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="accounts.aimodel",
                                verbose_name="model",
                            ),
                        ),
                        (
                            "token",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="accounts.apitoken",
                                verbose_name="token",
                            ),
                        ),
                        (
                            "user",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="user",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "usage record",
                        "verbose_name_plural": "usage records",
                        "db_table": "usage_record",
                        "default_permissions": ("view",),
                    },
                ),
            ],
        ),
    ]
