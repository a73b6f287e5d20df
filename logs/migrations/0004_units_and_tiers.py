import django.core.validators
from django.db import migrations, models


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


PRICES = {
    "cache_write_1h": price("cache write, 1 hour"),
    "cached_audio": price("cached audio input"),
    "per_video_second": price("per second of video"),
    "per_audio_minute": price("per minute of audio", help_text="Seconds cost their part of it."),
    "per_page": price("per page"),
    "per_million_characters": price("per 1M characters"),
    "per_web_search": price("per web search"),
    "per_file_search": price("per file search"),
    "per_code_session": price("per code session"),
    "per_tool_call": price("per tool call", help_text="USD for each other tool call. Empty: nothing."),
}


class Migration(migrations.Migration):
    """Own prices of all that is sold: per second, minute, page, character, search, and by service tier."""

    dependencies = [("logs", "0003_import_gaps")]

    operations = [
        migrations.AlterModelOptions(
            name="modelprice",
            options={
                "ordering": ("model__name", "tier", "-valid_from"),
                "verbose_name": "model price",
                "verbose_name_plural": "model prices",
            },
        ),
        *(migrations.AddField("modelprice", name, field) for name, field in PRICES.items()),
        migrations.AddField(
            "modelprice",
            "tier",
            models.CharField(
                blank=True,
                # Those that are there hold for calls of no tier in particular.
                default="",
                help_text="flex, priority, batch …: as records tell it. Empty: calls of no tier in particular.",
                max_length=30,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[a-z0-9_]+\\Z", "Small letters, digits and underscores."
                    )
                ],
                verbose_name="service tier",
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            "modelprice",
            "cache_write",
            price("cache write", help_text="Kept for 5 minutes, where there are several."),
        ),
        migrations.AlterField("modelprice", "reasoning", price("reasoning", help_text="Empty: as output.")),
        migrations.RemoveConstraint("modelprice", "modelprice_model_valid_from"),
        migrations.AddConstraint(
            "modelprice",
            models.UniqueConstraint(
                fields=["model", "tier", "valid_from"], name="modelprice_model_tier_valid_from"
            ),
        ),
    ]
