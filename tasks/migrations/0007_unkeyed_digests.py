"""Forget the digests of results that were made without a key."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("tasks", "0006_cause_of_cut_failures"),
    ]

    operations = [
        migrations.RunSQL(
            (Path(__file__).parent / "0007_unkeyed_digests.sql").read_text(), migrations.RunSQL.noop
        ),
    ]
