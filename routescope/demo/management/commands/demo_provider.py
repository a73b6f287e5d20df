"""``manage.py demo_provider``: the development provider, and tasks ordered at it."""

from __future__ import annotations

import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from routescope.demo import by_hand
from routescope.demo.delivery import AwayError, Client, Courier, DeliveryRefusedError
from routescope.demo.live_tasks import PLATFORMS, ordered
from routescope.demo.provider import DevelopmentProvider
from routescope.demo.stopping import stoppable

LABEL = "demo provider"


class Command(BaseCommand):
    help = (
        "Run the development provider on loopback, for the demo: a real HTTP server that makes pictures and"
        " sounds, and fails now and then. Orders a task every half minute, which the workers then follow."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
        parser.add_argument("--url", default=settings.BASE_URL, help=f"the console ({settings.BASE_URL})")

    def handle(self, *args: Any, port: int, url: str, **options: Any) -> None:
        if settings.HTTPS:
            raise CommandError("BASE_URL is https, so others can reach this console: no demo tasks are made.")
        gateway = by_hand.demo_gateway()
        if gateway is None:
            raise CommandError("The demo is not loaded: run manage.py load_demo first.")
        try:
            provider = DevelopmentProvider(port, faults=9).start()
        except OSError as error:
            # The rest of the demo does without; up takes status 0 for an end.
            self.stderr.write(f"Port {port} is taken, so no demo tasks are made: {error.strerror}.")
            return
        by_hand.have_asked(gateway, PLATFORMS, provider.url)
        with stoppable(), by_hand.ingest_key(gateway, LABEL) as key:
            try:
                deliver = Courier(Client(url, key).send, threading.Event())
            except ValueError as error:
                raise CommandError(f"--url: {error}") from None
            try:
                for messages in ordered():
                    for message in messages:
                        deliver(message)
            except AwayError as error:
                raise CommandError(f"{url} does not answer any more ({error}).") from error
            except DeliveryRefusedError as error:
                raise CommandError(f"{url} refuses what is sent: {error}") from error
