from pathlib import Path

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("logs", "0005_usage_content")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL((Path(__file__).parent / "0006_pending_sums.sql").read_text()),
            ],
            state_operations=[
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
                    name="UsageDayFolded",
                    fields=[
                        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
                        ("model_id", models.IntegerField()),
                        ("group_id", models.IntegerField()),
                        (
                            "type",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Request"),
                                    (2, "Task submission"),
                                    (3, "Refund"),
                                    (4, "Adjustment"),
                                ]
                            ),
                        ),
                        ("status", models.SmallIntegerField(choices=[(1, "Success"), (2, "Error")])),
                        (
                            "cause",
                            models.SmallIntegerField(
                                choices=[
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
                            ),
                        ),
                        ("records", models.BigIntegerField()),
                        (
                            "unpriced",
                            models.BigIntegerField(help_text="Of the records, those without a known price."),
                        ),
                        ("input_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "user_id",
                                "start",
                                "token_id",
                                "model_id",
                                "group_id",
                                "type",
                                "status",
                                "cause",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("user_id", models.IntegerField()),
                        ("token_id", models.IntegerField()),
                    ],
                    options={
                        "db_table": "usage_day_folded",
                        "default_permissions": (),
                    },
                ),
                migrations.CreateModel(
                    name="UsageHourFolded",
                    fields=[
                        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
                        ("model_id", models.IntegerField()),
                        ("group_id", models.IntegerField()),
                        (
                            "type",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Request"),
                                    (2, "Task submission"),
                                    (3, "Refund"),
                                    (4, "Adjustment"),
                                ]
                            ),
                        ),
                        ("status", models.SmallIntegerField(choices=[(1, "Success"), (2, "Error")])),
                        (
                            "cause",
                            models.SmallIntegerField(
                                choices=[
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
                            ),
                        ),
                        ("records", models.BigIntegerField()),
                        (
                            "unpriced",
                            models.BigIntegerField(help_text="Of the records, those without a known price."),
                        ),
                        ("input_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "user_id",
                                "start",
                                "token_id",
                                "model_id",
                                "group_id",
                                "type",
                                "status",
                                "cause",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("user_id", models.IntegerField()),
                        ("token_id", models.IntegerField()),
                    ],
                    options={
                        "db_table": "usage_hour_folded",
                        "default_permissions": (),
                    },
                ),
                migrations.CreateModel(
                    name="UsagePending",
                    fields=[
                        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
                        ("model_id", models.IntegerField()),
                        ("group_id", models.IntegerField()),
                        (
                            "type",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Request"),
                                    (2, "Task submission"),
                                    (3, "Refund"),
                                    (4, "Adjustment"),
                                ]
                            ),
                        ),
                        ("status", models.SmallIntegerField(choices=[(1, "Success"), (2, "Error")])),
                        (
                            "cause",
                            models.SmallIntegerField(
                                choices=[
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
                            ),
                        ),
                        ("records", models.BigIntegerField()),
                        (
                            "unpriced",
                            models.BigIntegerField(help_text="Of the records, those without a known price."),
                        ),
                        ("input_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "user_id",
                                "start",
                                "token_id",
                                "model_id",
                                "group_id",
                                "type",
                                "status",
                                "cause",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("user_id", models.IntegerField()),
                        ("token_id", models.IntegerField()),
                    ],
                    options={
                        "db_table": "usage_pending",
                        "default_permissions": (),
                    },
                ),
                migrations.CreateModel(
                    name="UsageTotalDayFolded",
                    fields=[
                        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
                        ("model_id", models.IntegerField()),
                        ("group_id", models.IntegerField()),
                        (
                            "type",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Request"),
                                    (2, "Task submission"),
                                    (3, "Refund"),
                                    (4, "Adjustment"),
                                ]
                            ),
                        ),
                        ("status", models.SmallIntegerField(choices=[(1, "Success"), (2, "Error")])),
                        (
                            "cause",
                            models.SmallIntegerField(
                                choices=[
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
                            ),
                        ),
                        ("records", models.BigIntegerField()),
                        (
                            "unpriced",
                            models.BigIntegerField(help_text="Of the records, those without a known price."),
                        ),
                        ("input_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "start",
                                "model_id",
                                "group_id",
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
                    options={
                        "db_table": "usage_total_day_folded",
                        "default_permissions": (),
                    },
                ),
                migrations.CreateModel(
                    name="UsageTotalHourFolded",
                    fields=[
                        ("start", models.DateTimeField(help_text="Start of the UTC hour or day.")),
                        ("model_id", models.IntegerField()),
                        ("group_id", models.IntegerField()),
                        (
                            "type",
                            models.SmallIntegerField(
                                choices=[
                                    (1, "Request"),
                                    (2, "Task submission"),
                                    (3, "Refund"),
                                    (4, "Adjustment"),
                                ]
                            ),
                        ),
                        ("status", models.SmallIntegerField(choices=[(1, "Success"), (2, "Error")])),
                        (
                            "cause",
                            models.SmallIntegerField(
                                choices=[
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
                            ),
                        ),
                        ("records", models.BigIntegerField()),
                        (
                            "unpriced",
                            models.BigIntegerField(help_text="Of the records, those without a known price."),
                        ),
                        ("input_tokens", models.BigIntegerField()),
                        ("output_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost", models.DecimalField(decimal_places=12, max_digits=24)),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "start",
                                "model_id",
                                "group_id",
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
                    options={
                        "db_table": "usage_total_hour_folded",
                        "default_permissions": (),
                    },
                ),
                migrations.RemoveField(
                    model_name="usagetotalday",
                    name="shard",
                ),
                migrations.RemoveField(
                    model_name="usagetotalhour",
                    name="shard",
                ),
                migrations.AlterField(
                    model_name="usagetotalday",
                    name="pk",
                    field=models.CompositePrimaryKey(
                        "start",
                        "model_id",
                        "group_id",
                        "type",
                        "status",
                        "cause",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                migrations.AlterField(
                    model_name="usagetotalhour",
                    name="pk",
                    field=models.CompositePrimaryKey(
                        "start",
                        "model_id",
                        "group_id",
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
        ),
    ]
