"""A sum of costs may be larger than any cost. More digits before the point: no row is written anew."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_total_orders"),
    ]

    operations = [
        migrations.AlterField(
            model_name="export",
            name="cost",
            field=models.DecimalField(decimal_places=12, max_digits=36, null=True, verbose_name="cost"),
        ),
        migrations.AlterField(
            model_name="export",
            name="expected_cost",
            field=models.DecimalField(
                decimal_places=12, max_digits=36, null=True, verbose_name="cost expected"
            ),
        ),
    ]
