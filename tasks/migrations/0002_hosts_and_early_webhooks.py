import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import routescope.encryption


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_names_version"),
        ("tasks", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EarlyWebhook",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("platform", models.CharField(max_length=64, verbose_name="provider")),
                ("provider_task_id", models.CharField(max_length=2500, verbose_name="provider's task ID")),
                ("delivery_id", models.CharField(max_length=200, verbose_name="delivery ID")),
                ("body", routescope.encryption.EncryptedTextField(blank=True, verbose_name="body")),
                (
                    "received_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="received"),
                ),
            ],
            options={
                "verbose_name": "webhook that waits for its task",
                "verbose_name_plural": "webhooks that wait for their tasks",
                "default_permissions": ("view",),
            },
        ),
        # What is remembered is of platforms: of hosts nothing is known yet.
        migrations.RunSQL("DELETE FROM tasks_providerhealth", migrations.RunSQL.noop),
        migrations.RenameModel("ProviderHealth", "HostHealth"),
        migrations.AlterModelOptions(
            "HostHealth",
            {
                "verbose_name": "host health",
                "verbose_name_plural": "host health",
                "default_permissions": ("view",),
            },
        ),
        migrations.RenameField("HostHealth", "platform", "host"),
        migrations.AlterField(
            "HostHealth",
            "host",
            models.CharField(max_length=260, primary_key=True, serialize=False, verbose_name="host"),
        ),
        migrations.AddField(
            "HostHealth",
            "slow_until",
            models.DateTimeField(
                blank=True,
                help_text="Its polls take so long that they share half of the places until then.",
                null=True,
                verbose_name="slow until",
            ),
        ),
        migrations.AddField(
            "HostHealth",
            "noted_at",
            models.DateTimeField(default=django.utils.timezone.now, verbose_name="noted"),
        ),
        migrations.RemoveIndex(
            model_name="asynctask",
            name="asynctask_due",
        ),
        migrations.RemoveIndex(
            model_name="asynctask",
            name="asynctask_leased",
        ),
        migrations.AddField(
            model_name="asynctask",
            name="poll_begun_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="poll begun"),
        ),
        migrations.AddField(
            model_name="asynctask",
            name="poll_host",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=260,
                verbose_name="poll host",
            ),
        ),
        migrations.AlterField(
            model_name="taskevent",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("ignored", "Ignored: the task was further on already"),
                    ("given_back", "The charge was given back"),
                    ("gateway_gave_back", "The gateway had given the charge back already"),
                    ("nothing_charged", "Nothing had been charged"),
                    ("no_charge", "No charge of this task has arrived: there is nothing to give back"),
                    ("no_answer", "The provider could not be reached"),
                    ("unreadable", "The provider's answer could not be read"),
                    ("slowed", "The provider asked to wait"),
                    ("not_allowed", "The provider refused our key"),
                    ("not_found", "The provider does not know this task"),
                    ("forbidden_address", "The address is not allowed"),
                    ("cut_short", "The poll was cut short: its worker died, or it took too long"),
                    ("broken", "The poll broke by a fault of the console's own; the log says which"),
                    ("too_late", "No final answer before the deadline"),
                ],
                max_length=24,
                verbose_name="meaning",
            ),
        ),
        migrations.AddIndex(
            model_name="asynctask",
            index=models.Index(
                condition=models.Q(("next_poll_at__isnull", False)),
                fields=["platform", "poll_host", "next_poll_at"],
                name="asynctask_due_by_host",
            ),
        ),
        migrations.AddIndex(
            model_name="asynctask",
            index=models.Index(
                condition=models.Q(("leased_until__isnull", False)),
                fields=["poll_host", "leased_until"],
                name="asynctask_leased_by_host",
            ),
        ),
        migrations.AddField(
            model_name="earlywebhook",
            name="gateway",
            field=models.ForeignKey(
                help_text="Whose secret it is signed with; empty where it may speak of every gateway's tasks.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="accounts.gateway",
                verbose_name="gateway",
            ),
        ),
        migrations.AddIndex(
            model_name="earlywebhook",
            index=models.Index(fields=["platform", "provider_task_id"], name="earlywebhook_task"),
        ),
        migrations.AddIndex(
            model_name="earlywebhook",
            index=models.Index(fields=["platform", "gateway", "received_at"], name="earlywebhook_sender"),
        ),
        migrations.AddConstraint(
            model_name="earlywebhook",
            constraint=models.UniqueConstraint(fields=("platform", "delivery_id"), name="earlywebhook_once"),
        ),
        # Clients' IDs are longer than was thought. A wider varchar rewrites neither table nor index.
        migrations.AlterField(
            model_name="asynctask",
            name="provider_task_id",
            field=models.CharField(blank=True, max_length=2500, verbose_name="provider's task ID"),
        ),
        migrations.AlterField(
            model_name="asynctask",
            name="request_id",
            field=models.CharField(blank=True, max_length=2500, verbose_name="request ID"),
        ),
        migrations.AlterField(
            model_name="asynctask",
            name="task_id",
            field=models.CharField(
                help_text="The ID that the client saw.", max_length=2500, verbose_name="task ID"
            ),
        ),
        migrations.AlterField(
            model_name="earlyreport",
            name="task_id",
            field=models.CharField(max_length=2500),
        ),
    ]
