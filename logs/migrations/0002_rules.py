import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

LEVELS = [
    (1, "Off: nothing is kept"),
    (2, "Redacted: kept without secrets, e-mail addresses, phone and card numbers"),
    (3, "Full: kept as sent"),
]


def price(words, **options):
    """Return a field of a price in USD."""
    return models.DecimalField(
        words,
        blank=True,
        decimal_places=9,
        max_digits=18,
        null=True,
        validators=[django.core.validators.MinValueValidator(0)],
        **options,
    )


class Migration(migrations.Migration):
    """How records are priced, what of their content is kept, and what arrives in parts."""

    replaces = [("logs", "0002_span_half"), ("logs", "0003_import_position"), ("logs", "0004_prices")]
    dependencies = [
        ("accounts", "0001_initial"),
        ("logs", "0001_usage"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ContentPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("level", models.SmallIntegerField(choices=LEVELS, default=1, verbose_name="content")),
                ("changed_at", models.DateTimeField(auto_now=True, verbose_name="changed")),
                (
                    "gateway",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.gateway",
                        verbose_name="gateway",
                    ),
                ),
                (
                    "group",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "token",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.apitoken",
                        verbose_name="API token",
                    ),
                ),
            ],
            options={
                "verbose_name": "content policy",
                "verbose_name_plural": "content policies",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("gateway__isnull", False), ("group__isnull", True), ("token__isnull", True)
                            ),
                            models.Q(
                                ("gateway__isnull", True), ("group__isnull", False), ("token__isnull", True)
                            ),
                            models.Q(
                                ("gateway__isnull", True), ("group__isnull", True), ("token__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="contentpolicy_of_one",
                        violation_error_message="Choose a gateway, a group or a token: exactly one of them.",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupRatio",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "ratio",
                    models.DecimalField(
                        decimal_places=6,
                        max_digits=12,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="ratio",
                    ),
                ),
                (
                    "valid_from",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="valid from"),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
            ],
            options={
                "verbose_name": "group ratio",
                "verbose_name_plural": "group ratios",
                "ordering": ("group__name", "-valid_from"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("group", "valid_from"), name="groupratio_group_valid_from"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportPosition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        help_text="The database, without credentials.", max_length=500, verbose_name="source"
                    ),
                ),
                ("table", models.CharField(max_length=100, verbose_name="table")),
                ("last_id", models.BigIntegerField(default=0, verbose_name="last ID")),
                ("rows", models.BigIntegerField(default=0, verbose_name="rows")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated")),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.gateway",
                        verbose_name="gateway",
                    ),
                ),
            ],
            options={
                "verbose_name": "import position",
                "verbose_name_plural": "import positions",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("gateway", "source", "table"), name="importposition_source_table"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ModelPrice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "valid_from",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="Records of this time and later are priced so. Charges that stand are never changed.",
                        verbose_name="valid from",
                    ),
                ),
                ("input", price("input", help_text="USD per 1M tokens, as all prices of tokens.")),
                ("cached_input", price("cached input")),
                ("cache_write", price("cache write")),
                ("output", price("output")),
                ("reasoning", price("reasoning")),
                ("audio_input", price("audio input")),
                ("audio_output", price("audio output")),
                ("image_input", price("image input")),
                ("image_output", price("image output")),
                ("per_call", price("per call", help_text="USD for each call that succeeds.")),
                ("per_image", price("per image", help_text="USD for each image.")),
                ("note", models.CharField(blank=True, max_length=300, verbose_name="note")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="entered"
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="entered by",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="prices",
                        to="accounts.aimodel",
                        verbose_name="model",
                    ),
                ),
            ],
            options={
                "verbose_name": "model price",
                "verbose_name_plural": "model prices",
                "ordering": ("model__name", "-valid_from"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("model", "valid_from"), name="modelprice_model_valid_from"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SpanHalf",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("span", models.CharField(help_text="Trace and span ID.", max_length=64)),
                (
                    "key",
                    models.CharField(
                        help_text="A hash of the request, which both halves carry.", max_length=32
                    ),
                ),
                (
                    "is_usage",
                    models.BooleanField(help_text="Whether this is the half that carries the usage."),
                ),
                ("met_at", models.DateTimeField(help_text="When the first half ended and the stream began.")),
                ("is_paired", models.BooleanField(default=False)),
                ("user_id", models.IntegerField()),
                ("record_id", models.UUIDField()),
                ("received_at", models.DateTimeField(auto_now_add=True)),
                (
                    "gateway",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="accounts.gateway"
                    ),
                ),
            ],
            options={
                "db_table": "usage_span_half",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["gateway", "key", "met_at"], name="span_half_key"),
                    models.Index(fields=["received_at"], name="span_half_received_at"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("gateway", "span"), name="span_half_gateway_span")
                ],
            },
        ),
    ]
