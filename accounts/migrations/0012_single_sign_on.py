"""Identities at an OpenID provider, rights by its claims, and when an account was closed."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0011_audit_acts_and_second_factors"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations = [
        migrations.CreateModel(
            name="LinkedIdentity",
            fields=[],
            options={
                "verbose_name": "single sign-on identity",
                "verbose_name_plural": "single sign-on identities",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("socialaccount.socialaccount",),
        ),
        migrations.AddField(
            model_name="user",
            name="closed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="closed"),
        ),
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
                    ("sign_in", "Signed in by single sign-on, or tried to"),
                ],
                editable=False,
                max_length=16,
                verbose_name="what",
            ),
        ),
        migrations.CreateModel(
            name="ClaimedRight",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "right",
                    models.CharField(
                        choices=[
                            ("is_staff", "Admin"),
                            ("is_superuser", "Superuser"),
                            ("group", "Permission group"),
                        ],
                        max_length=16,
                        verbose_name="right",
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="given")),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="auth.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="claimed_rights",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "right by a claim",
                "verbose_name_plural": "rights by claims",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "right", "group"), name="claimedright_user", nulls_distinct=False
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group__isnull", False), ("right", "group")),
                            models.Q(("group", None), ("right__in", ("is_staff", "is_superuser"))),
                            _connector="OR",
                        ),
                        name="claimedright_group",
                    ),
                ],
            },
        ),
    ]
