"""What sessions and links of an account carry, so that all of them can end at once."""

import uuid

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def end_sessions(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """End the sessions of those who have rights by claims: some may have come without the provider."""
    users = apps.get_model("accounts", "User").objects
    claimed = apps.get_model("accounts", "ClaimedRight").objects
    for pk in claimed.values_list("user", flat=True).distinct():
        users.filter(pk=pk).update(access_salt=str(uuid.uuid4()))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_error_texts"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="access_salt",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=36),
        ),
        migrations.RunPython(end_sessions, migrations.RunPython.noop, elidable=True),
    ]
