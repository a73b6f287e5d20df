"""A background response is a type of task; the database is told nothing new."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0007_unkeyed_digests"),
    ]

    operations = [
        migrations.AlterField(
            model_name="asynctask",
            name="type",
            field=models.CharField(
                choices=[
                    ("image", "Image"),
                    ("audio", "Audio"),
                    ("video", "Video"),
                    ("music", "Music"),
                    ("batch", "Batch"),
                    ("response", "Response"),
                    ("other", "Other"),
                ],
                default="other",
                max_length=16,
                verbose_name="type",
            ),
        ),
    ]
