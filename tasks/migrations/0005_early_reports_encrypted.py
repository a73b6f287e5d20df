"""Reports that wait for their tasks are encrypted: what a task made is content.

Those that wait are few, and wait for a week at most.
"""

from __future__ import annotations

import json
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import routescope.encryption


def encrypt(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Put each body into the new field."""
    reports: Any = apps.get_model("tasks", "EarlyReport")
    for row in reports._default_manager.iterator(500):
        row.body = json.dumps(row.plain, ensure_ascii=False)
        row.save(update_fields=["body"])


class Migration(migrations.Migration):
    dependencies = [("tasks", "0004_hint")]

    operations = [
        migrations.RenameField("earlyreport", "body", "plain"),
        migrations.AlterField("earlyreport", "plain", models.JSONField(null=True)),
        migrations.AddField(
            "earlyreport",
            "body",
            routescope.encryption.EncryptedTextField(default=""),
            preserve_default=False,
        ),
        migrations.RunPython(encrypt, migrations.RunPython.noop),
        migrations.RemoveField("earlyreport", "plain"),
    ]
