"""``manage.py load_demo``: believable traffic to look at."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_USER_EMAIL
from routescope.demo.history import load


class Command(BaseCommand):
    help = (
        "Load demo data: people, tokens and some 200,000 records over 90 days up to now."
        " Running it again only fills the time since the last run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--records", type=int, default=200_000, help="how many records, about (200000)")
        parser.add_argument("--days", type=int, default=90, help="over how many days up to now (90)")

    def handle(self, *args: Any, records: int, days: int, **options: Any) -> None:
        if records < 1 or days < 1:
            raise CommandError("--records and --days must be at least 1.")
        if not settings.ONLY_THIS_MACHINE:
            raise CommandError(
                "Others can reach this console (by its address, its https or its database of its own): the"
                " demo is not loaded, because the passwords of its user and its admin are known to everyone."
            )
        started = time.monotonic()
        loaded = load(records, days, timezone.now())
        seconds = time.monotonic() - started
        if loaded.start is None or not loaded.records.accepted:
            self.stdout.write("The demo is loaded already, up to now.")
        else:
            self.stdout.write(
                f"Loaded {loaded.records.accepted:,} demo records and {loaded.tasks:,} tasks, from"
                f" {loaded.start:%Y-%m-%d %H:%M} to {loaded.until:%Y-%m-%d %H:%M} UTC, in {seconds:.1f} s."
            )
        if refused := loaded.records.rejected:
            self.stdout.write(f"{refused:,} older than RECORD_RETENTION_MONTHS were not kept.")
        self.stdout.write(f"Sign in as {DEMO_USER_EMAIL} or {DEMO_ADMIN_EMAIL}, password {DEMO_PASSWORD}")
