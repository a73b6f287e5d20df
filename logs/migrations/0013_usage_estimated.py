from django.db import migrations, models


class Migration(migrations.Migration):
    """Whether a record's tokens were counted by the gateway, and not reported by the provider.

    A column without a default: no row is written anew, and one that says nothing costs no byte.
    """

    dependencies = [("logs", "0012_marks")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE usage_record ADD COLUMN usage_estimated boolean",
                    "ALTER TABLE usage_record DROP COLUMN usage_estimated",
                ),
            ],
            state_operations=[
                migrations.AddField(
                    model_name="usagerecord",
                    name="usage_estimated",
                    field=models.BooleanField(
                        help_text="The gateway counted the tokens itself: the provider reported none.",
                        null=True,
                        verbose_name="usage estimated",
                    ),
                ),
            ],
        ),
    ]
