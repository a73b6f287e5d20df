"""What names of deployments stand for."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("logs", "0013_usage_estimated")]

    operations = [
        migrations.CreateModel(
            name="Deployment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="What clients ask for: a deployment's name or a gateway's alias, without a provider in front.",
                        max_length=200,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                ("stands_for", models.JSONField(verbose_name="stands for")),
                ("note", models.CharField(blank=True, max_length=300, verbose_name="note")),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="entered"
                    ),
                ),
            ],
            options={
                "verbose_name": "deployment",
                "verbose_name_plural": "deployments",
                "ordering": ("name",),
            },
        ),
    ]
