"""``manage.py demo_provider``: the development provider, and tasks ordered at it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from routescope.demo.live_tasks import keep_ordering, settle_in
from routescope.demo.provider import DevelopmentProvider


class Command(BaseCommand):
    help = (
        "Run the development provider on loopback, for the demo: a real HTTP server that makes pictures and"
        " sounds, and fails now and then. Orders a task every half minute, which the workers then follow."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        if settings.HTTPS:
            raise CommandError("BASE_URL is https, so others can reach this console: no demo tasks are made.")
        try:
            provider = DevelopmentProvider(port, faults=9).start()
        except OSError as error:
            # The rest of the demo does without; up takes status 0 for an end.
            self.stderr.write(f"Port {port} is taken, so no demo tasks are made: {error.strerror}.")
            return
        settle_in(provider.url)
        keep_ordering()
