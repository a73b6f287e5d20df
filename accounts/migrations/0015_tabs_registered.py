from django.db import migrations, models


class Migration(migrations.Migration):
    """Which tabs there are is said by the apps that have them: nothing changes in the database."""

    dependencies = [("accounts", "0014_access_salt")]

    operations = [
        migrations.AlterField("savedview", "tab", models.CharField(max_length=8, verbose_name="tab")),
    ]
