"""What waits of unsigned callbacks, whatever task they name."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0003_key_binding")]

    operations = [
        migrations.CreateModel(
            name="Hint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("platform", models.CharField(max_length=64)),
                ("provider_task_id", models.CharField(max_length=2500)),
                ("received_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("platform", "provider_task_id"), name="hint_once")
                ],
            },
        ),
    ]
