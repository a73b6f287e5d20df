"""``manage.py demo_traffic``: a trickle of live traffic through the real HTTP API."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from accounts.models import Gateway, IngestKey
from routescope.demo.delivery import AwayError, Client, DeliveryRefusedError
from routescope.demo.live import Live, Message
from routescope.demo.people import demo_gateway
from routescope.demo.tasks import open_tasks

EVERY = 3.0
"""Seconds between two rounds."""
LONGEST_PAUSE = 30.0
LABEL = "demo traffic"
_ABANDONED = timedelta(days=1)


class _Stopped(BaseException):
    """A signal came."""


class Command(BaseCommand):
    help = "Keep sending demo traffic to a running console, as a gateway would. Needs a loaded demo."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.BASE_URL, help=f"the console ({settings.BASE_URL})")
        parser.add_argument(
            "--rate", type=float, default=0.2, help="calls a second, on average over a day and night (0.2)"
        )

    def handle(self, *args: Any, url: str, rate: float, **options: Any) -> None:
        if not 0 < rate <= 100:
            raise CommandError("--rate must be above 0, and at most 100.")
        gateway = demo_gateway()
        if gateway is None:
            raise CommandError("The demo is not loaded: run manage.py load_demo first.")
        with suppress(_Stopped), _stoppable(), _key(gateway) as key:
            try:
                client = Client(url, key)
            except ValueError as error:
                raise CommandError(f"--url: {error}") from None
            live = Live(gateway.created_at, rate, timezone.now(), open_tasks(gateway))
            connections.close_all()
            self.stdout.write(f"Sending some {rate * 60:,.0f} calls a minute to {url}")
            self._run(client, live, url)

    def _run(self, client: Client, live: Live, url: str) -> None:
        """Send whatever comes up, in order, until a signal. While nobody answers, the same is tried again."""
        away = ""
        pause = EVERY
        waiting: list[Message] = []
        while True:
            if not waiting:
                waiting = live.take(timezone.now())
            try:
                while waiting:
                    self._look_at(client.send(waiting[0]))
                    waiting.pop(0)
            except AwayError as error:
                pause = min(pause * 1.5, LONGEST_PAUSE)
                if not away:
                    away = str(error)
                    self.stdout.write(f"{url} does not answer ({away}); the same records will be sent again.")
            except DeliveryRefusedError as error:
                raise CommandError(f"{url} refuses what is sent: {error}") from error
            else:
                pause = EVERY
                if away:
                    away = ""
                    self.stdout.write(f"{url} answers again.")
            if waiting or live.until > timezone.now() - timedelta(seconds=EVERY):
                time.sleep(pause)

    def _look_at(self, answer: dict[str, Any]) -> None:
        rejected = answer.get("rejected") or ()
        if rejected:
            self.stderr.write(f"{len(rejected)} refused, the first: {rejected[0]}")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raise _Stopped inside the block on SIGTERM, SIGINT and SIGHUP, wherever it is just then."""

    def stop(number: int, frame: FrameType | None) -> None:
        # Once: what is put away after it must not be interrupted.
        for caught in before:
            signal.signal(caught, signal.SIG_IGN)
        raise _Stopped

    before = {
        number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _key(gateway: Gateway) -> Iterator[str]:
    """Issue an ingest key for the block. It is known nowhere else, and gone afterwards."""
    yesterday: datetime = timezone.now() - _ABANDONED
    ours = IngestKey.objects.filter(gateway=gateway, label=LABEL)
    # Of runs that were killed: every running one has used its key within the day.
    ours.filter(created_at__lt=yesterday).exclude(last_used_at__gte=yesterday).delete()
    row, key = IngestKey.issue(gateway, LABEL)
    try:
        yield key
    finally:
        # If the database is gone before us, the next run cleans up.
        with suppress(OperationalError, InterfaceError):
            row.delete()
