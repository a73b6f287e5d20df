from pathlib import Path

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_merging")]

    operations = [
        migrations.AddField(
            model_name="useridentity",
            name="moved_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When it was last pointed at another user: the database notes it.",
                null=True,
                verbose_name="pointed elsewhere",
            ),
        ),
        migrations.RunSQL(
            (Path(__file__).parent / "0008_names_version.sql").read_text(),
            "DROP TABLE accounts_names_version;"
            " DROP FUNCTION accounts_names_changed CASCADE; DROP FUNCTION accounts_identity_moved CASCADE;",
        ),
    ]
