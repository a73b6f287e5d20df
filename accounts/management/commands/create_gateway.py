"""Make a gateway and its ingest key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.gateways.first_steps import curl, ingest_url
from accounts.models import Gateway, IngestKey

_NEXT = """
It is shown this once: only a hash of it is kept.

Have the gateway POST its records to
  {url}
with the header
  Authorization: Bearer <ingest key>

To try it, send one record:
  {curl}
"""


class Command(BaseCommand):
    help = "Make a gateway that may send records in, and print its ingest key: once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the gateway is called, e.g. litellm-production.")
        parser.add_argument(
            "--label", default="", help="To tell keys apart later: the host or deployment that uses it."
        )
        parser.add_argument(
            "--new-key", action="store_true", help="Issue another key for a gateway that exists."
        )

    def handle(self, *args: Any, name: str, label: str, new_key: bool, **options: Any) -> None:
        with transaction.atomic():
            gateway = _existing(name) if new_key else _made(name)
            key = _issued(gateway, label)
        if options["verbosity"] == 0:
            self.stdout.write(key)
            return
        self.stdout.write(f"Ingest key of gateway {gateway.name}:\n\n  {key}\n")
        self.stdout.write(_NEXT.format(url=ingest_url(), curl=curl(key)))
        if not gateway.is_active:
            self.stdout.write(
                self.style.WARNING("The gateway is inactive: its keys are refused until it is active.")
            )


def _existing(name: str) -> Gateway:
    gateway = Gateway.objects.filter(name=name).first()
    if gateway is None:
        raise CommandError(f"There is no gateway called {name!r}. Leave out --new-key to make it.")
    return gateway


def _made(name: str) -> Gateway:
    if Gateway.objects.filter(name=name).exists():
        raise CommandError(
            f"There is a gateway called {name!r} already. Add --new-key to issue another key for it."
        )
    gateway = Gateway(name=name)
    _check(gateway, "name")
    gateway.save()
    return gateway


def _issued(gateway: Gateway, label: str) -> str:
    _check(IngestKey(gateway=gateway, label=label, hint="-", key_hash="-"), "label")
    _, key = IngestKey.issue(gateway, label)
    return key


def _check(row: Gateway | IngestKey, what: str) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        raise CommandError(f"The {what} cannot be used: {' '.join(error.messages)}") from error
