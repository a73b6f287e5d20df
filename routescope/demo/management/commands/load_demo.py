"""``manage.py load_demo``: believable traffic to look at, sent to a running console as a gateway would."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_USER_EMAIL, by_hand
from routescope.demo.book import Book, Sender
from routescope.demo.delivery import AwayError, Client, Courier, DeliveryRefusedError
from routescope.demo.history import DAYS, RECORDS
from routescope.demo.loading import AT_ONCE, Loaded, load
from routescope.demo.stopping import stoppable

LABEL = "demo history"


class Command(BaseCommand):
    help = (
        "Load demo data into a running console: people, tokens and some 200,000 records over 90 days up to"
        " now. Running it again goes on where it was interrupted, and fills the time since the last run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.BASE_URL, help=f"the console ({settings.BASE_URL})")
        parser.add_argument(
            "--records", type=int, default=RECORDS, help="how many records a new demo has, about (200000)"
        )
        parser.add_argument("--days", type=int, default=DAYS, help="over how many days up to now (90)")

    def handle(self, *args: Any, url: str, records: int, days: int, verbosity: int, **options: Any) -> None:
        """Verbosity 0 says what was loaded, and nothing else."""
        if records < 1 or days < 1:
            raise CommandError("--records and --days must be at least 1.")
        if not settings.ONLY_THIS_MACHINE:
            raise CommandError(by_hand.NOT_ALONE)
        _reach(url)
        gateway = by_hand.make_cast(timezone.now())
        book = Book(Sender(gateway.pk, gateway.created_at, by_hand.last_sent_at(gateway)))
        started = time.monotonic()
        with stoppable(), by_hand.ingest_key(gateway, LABEL) as key:
            entries = book.resume(timezone.now(), records, days)
            stopping = threading.Event()
            threads = ThreadPoolExecutor(AT_ONCE)
            try:
                loaded = load(book, entries, Courier(Client(url, key).send, stopping), threads)
            except AwayError as error:
                raise CommandError(f"{url} does not answer any more ({error}). {_GOES_ON}") from error
            except DeliveryRefusedError as error:
                raise CommandError(f"{url} refuses what is sent: {error}") from error
            finally:
                stopping.set()
                threads.shutdown(cancel_futures=True)
            self._tell(loaded, time.monotonic() - started, verbosity)

    def _tell(self, loaded: Loaded, seconds: float, verbosity: int) -> None:
        if loaded.records.accepted or loaded.tasks:
            self.stdout.write(
                f"Loaded {loaded.records.accepted:,} demo records and {loaded.tasks:,} tasks, from"
                f" {loaded.start:%Y-%m-%d %H:%M} to {loaded.until:%Y-%m-%d %H:%M} UTC, in {seconds:.1f} s."
            )
        elif verbosity:
            self.stdout.write("The demo is loaded already, up to now.")
        if loaded.refused:
            self.stdout.write(f"{loaded.refused:,} were refused, the first: {loaded.first_refusal}")
        if verbosity:
            self.stdout.write(
                f"Sign in as {DEMO_USER_EMAIL} or {DEMO_ADMIN_EMAIL}, password {by_hand.DEMO_PASSWORD}"
            )


_GOES_ON = "What has arrived is kept, and the next load goes on from there."


def _reach(url: str) -> None:
    """Raise CommandError where no console answers at the address: before anything is made."""
    try:
        Client(url, "").reach()
    except ValueError as error:
        raise CommandError(f"--url: {error}") from None
    except AwayError as error:
        raise CommandError(
            f"No console answers at {url} ({error}). Start it with make run, which loads the demo by itself;"
            " --url names another address."
        ) from error
