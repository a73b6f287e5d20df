"""Stored keys are bound to the hosts that their provider's definition names now.

The definitions are read by hand: the code that reads them may change. A key whose definition cannot be read is
bound to its base URL alone, and an admin enters it again.
"""

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from django.db import migrations, models

_BUILT_IN = Path(__file__).resolve().parent.parent / "providers"


def origin(url):
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host or "{" in host:
        return ""
    own = {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{host}" if port in (None, own) else f"{parts.scheme}://{host}:{port}"


def definition_of(providers, platform):
    own = providers.objects.filter(slug=platform, is_active=True).values_list("definition", flat=True).first()
    file = _BUILT_IN / f"{platform}.toml"
    try:
        return tomllib.loads(own if own is not None else file.read_text())
    except (OSError, ValueError):
        return {}


def bind(apps, schema_editor):
    providers = apps.get_model("tasks", "Provider")
    credentials = apps.get_model("tasks", "ProviderCredential")
    # Keys are not read: one that no configured key decrypts must not stop the migration.
    rows = credentials.objects.exclude(api_key="").values_list("pk", "platform", "base_url")
    for pk, platform, base_url in list(rows):
        definition = definition_of(providers, platform)
        poll, auth = definition.get("poll") or {}, definition.get("auth") or {}
        templates = (poll.get("url", ""), (poll.get("follow") or {}).get("url", ""))
        urls = [base_url or poll.get("base", "")]
        urls += [template for template in templates if template.startswith("https://")]
        urls += [f"https://{host}" for host in poll.get("hosts", []) if host != "*"]
        sent_as = f"{auth.get('scheme', 'none')} {auth.get('name', 'Authorization').lower()}"[:200]
        credentials.objects.filter(pk=pk).update(
            key_origins=list(dict.fromkeys(filter(None, map(origin, urls)))),
            key_sent_as=sent_as if definition else "",
        )


class Migration(migrations.Migration):
    dependencies = [("tasks", "0002_hosts_and_early_webhooks")]

    operations = [
        migrations.AddField(
            model_name="providercredential",
            name="key_origins",
            field=models.JSONField(
                blank=True,
                default=list,
                editable=False,
                help_text="Set as the key is entered. To send it elsewhere, enter it again.",
                verbose_name="key is sent to",
            ),
        ),
        migrations.AddField(
            model_name="providercredential",
            name="key_sent_as",
            field=models.CharField(
                blank=True, default="", editable=False, max_length=200, verbose_name="key is sent as"
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
                    ("key_withheld", "The key was not sent: it was entered for another host"),
                    ("cut_short", "The poll was cut short: its worker died, or it took too long"),
                    ("broken", "The poll broke by a fault of the console's own; the log says which"),
                    ("too_late", "No final answer before the deadline"),
                ],
                max_length=24,
                verbose_name="meaning",
            ),
        ),
        migrations.RunPython(bind, migrations.RunPython.noop),
    ]
