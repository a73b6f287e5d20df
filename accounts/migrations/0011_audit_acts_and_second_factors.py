"""More acts in the audit log, and allauth's secrets encrypted, which it kept in clear until now."""

from django.db import migrations, models

from routescope import encryption

_SECRETS = ("secret", "seed")


def encrypt(apps, schema_editor):
    Authenticator = apps.get_model("mfa", "Authenticator")
    for factor in Authenticator.objects.iterator(chunk_size=500):
        data = dict(factor.data)
        for name in _SECRETS:
            if isinstance(data.get(name), str):
                data[name] = encryption.encrypt(data[name].encode()).decode()
        if isinstance(data.get("migrated_codes"), list):
            data["migrated_codes"] = [
                encryption.encrypt(code.encode()).decode() for code in data["migrated_codes"]
            ]
        Authenticator.objects.filter(pk=factor.pk).update(data=data)


def decrypt(apps, schema_editor):
    Authenticator = apps.get_model("mfa", "Authenticator")
    for factor in Authenticator.objects.iterator(chunk_size=500):
        data = dict(factor.data)
        for name in _SECRETS:
            if isinstance(data.get(name), str):
                data[name] = encryption.decrypt(data[name].encode()).decode()
        if isinstance(data.get("migrated_codes"), list):
            data["migrated_codes"] = [
                encryption.decrypt(code.encode()).decode() for code in data["migrated_codes"]
            ]
        Authenticator.objects.filter(pk=factor.pk).update(data=data)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_wide_sums_of_exports"),
        ("mfa", "0003_authenticator_type_uniq"),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="act",
            field=models.CharField(
                choices=[
                    ("content", "Viewed content"),
                    ("export", "Exported records"),
                    ("prices", "Changed prices"),
                    ("retention", "Changed retention or privacy"),
                    ("people", "Changed people or their rights"),
                    ("merge", "Merged or separated"),
                    ("names", "Changed names, tokens or whom a gateway's names mean"),
                    ("gateways", "Changed gateways or their keys"),
                    ("providers", "Changed providers or their keys"),
                ],
                editable=False,
                max_length=16,
                verbose_name="what",
            ),
        ),
        migrations.RunPython(encrypt, decrypt),
    ]
