from django.db import migrations

_KEY = """
    ALTER TABLE usage_further_id DROP CONSTRAINT usage_further_id_pkey;
    ALTER TABLE usage_further_id ADD CONSTRAINT usage_further_id_pkey PRIMARY KEY ({});
"""
_ONE_OF_EACH = """
    DELETE FROM usage_further_id a USING usage_further_id b
    WHERE a.digest = b.digest AND a.id = b.id AND a.user_id > b.user_id;
"""


class Migration(migrations.Migration):
    """Two users may have a record of one id, where a name leads to another user than before."""

    dependencies = [("logs", "0005_spans")]

    operations = [
        migrations.RunSQL(_KEY.format("digest, id, user_id"), [_ONE_OF_EACH, _KEY.format("digest, id")]),
    ]
