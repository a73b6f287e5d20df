"""What an export says of how long its calls took. Empty for those that were made before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0020_teams"),
    ]

    operations = [
        migrations.AddField(
            model_name="export",
            name="percentiles",
            field=models.JSONField(
                help_text="Of the calls in the file.", null=True, verbose_name="percentiles"
            ),
        ),
    ]
