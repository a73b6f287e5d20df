"""``manage.py demo_traffic``: a trickle of live traffic through the real HTTP API."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from routescope.demo import by_hand
from routescope.demo.book import Book, Entries, Sender
from routescope.demo.delivery import LONGEST_PAUSE, AwayError, Client, DeliveryAnswer, DeliveryRefusedError
from routescope.demo.live import Live
from routescope.demo.stopping import stoppable
from routescope.demo.wire import Message

EVERY = 3.0
"""Seconds between two rounds."""
LABEL = "demo traffic"


class Command(BaseCommand):
    help = "Keep sending demo traffic to a running console, as a gateway would. Needs the demo's people."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.BASE_URL, help=f"the console ({settings.BASE_URL})")
        parser.add_argument(
            "--rate", type=float, default=0.2, help="calls a second, on average over a day and night (0.2)"
        )

    def handle(self, *args: Any, url: str, rate: float, **options: Any) -> None:
        if not 0 < rate <= 100:
            raise CommandError("--rate must be above 0, and at most 100.")
        gateway = by_hand.demo_gateway()
        if gateway is None:
            raise CommandError("The demo is not loaded: run manage.py load_demo first.")
        book = Book(Sender(gateway.pk, gateway.created_at, by_hand.last_sent_at(gateway)))
        with stoppable(), by_hand.ingest_key(gateway, LABEL) as key:
            try:
                client = Client(url, key)
            except ValueError as error:
                raise CommandError(f"--url: {error}") from None
            live = going_on(book.resume(timezone.now()), rate)
            connections.close_all()
            self.stdout.write(f"Sending some {rate * 60:,.0f} calls a minute to {url}")
            self._run(client, live, book, url)

    def _run(self, client: Client, live: Live, book: Book, url: str) -> None:
        """Send whatever comes up, in order, until a signal. While nobody answers, the same is tried again."""
        away = ""
        pause = EVERY
        waiting: list[Message] = []
        while True:
            waiting = waiting or live.take(timezone.now())
            try:
                self._send(client, waiting)
            except AwayError as error:
                pause = min(pause * 1.5, LONGEST_PAUSE) if error.pause is None else error.pause
                if not away:
                    away = str(error)
                    self.stdout.write(f"{url} does not answer ({away}); the same records will be sent again.")
            except DeliveryRefusedError as error:
                raise CommandError(f"{url} refuses what is sent: {error}") from error
            else:
                book.lived(live.until, live.open_tasks)
                pause = EVERY
                if away:
                    away = ""
                    self.stdout.write(f"{url} answers again.")
            if waiting or live.until > timezone.now() - timedelta(seconds=EVERY):
                time.sleep(pause)

    def _send(self, client: Client, waiting: list[Message]) -> None:
        """Send the messages that wait, each of which then waits no more."""
        while waiting:
            self._look_at(client.send(waiting[0]))
            waiting.pop(0)

    def _look_at(self, answer: DeliveryAnswer) -> None:
        if answer.rejected:
            self.stderr.write(f"{len(answer.rejected)} refused, the first: {answer.rejected[0]}")


def going_on(entries: Entries, rate: float) -> Live:
    """Return the live traffic that goes on where the book says."""
    history = entries.traffic if entries.open_tasks else None
    return Live(entries.end, rate, entries.until, entries.open_tasks, entries.followed_until, history)
