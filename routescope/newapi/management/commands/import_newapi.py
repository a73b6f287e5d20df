"""Import the records of a new-api or one-api installation, and follow it."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from accounts.models import Gateway
from logs.ingest.formats.newapi import QUOTA_PER_USD
from routescope.data.room import NoRoomError
from routescope.data.troubles import trouble_of
from routescope.newapi import gaps, usage
from routescope.newapi import tasks as tasks_import
from routescope.newapi import tokens as tokens_import
from routescope.newapi.progress import Bar
from routescope.newapi.source import NewApiSource, SourceError, open_source
from routescope.newapi.tasks import Followed
from routescope.newapi.usage import UsageProgress

_MAX_PAUSE = 60


class Command(BaseCommand):
    help = (
        "Import the logs and tasks of a new-api, one-hub or one-api database (PostgreSQL, MySQL, SQLite)."
        " Interrupt it at any time: the next run goes on where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--source",
            default=os.environ.get("NEWAPI_DSN"),
            help="postgresql://..., mysql://..., sqlite:///path, or new-api's SQL_DSN. Default: NEWAPI_DSN,"
            " which keeps the password out of the process list.",
        )
        parser.add_argument("--gateway", default="new-api", help="The gateway to book the records under.")
        parser.add_argument("--follow", action="store_true", help="Keep up with the living system.")
        parser.add_argument("--interval", type=float, default=5.0, help="Seconds between looks (--follow).")
        parser.add_argument(
            "--quota-per-unit",
            default=str(QUOTA_PER_USD),
            help="The installation's QuotaPerUnit: quota for 1 USD.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["source"]:
            raise CommandError("Name the database: --source postgresql://user:password@host/new-api")
        try:
            quota_per_usd = Decimal(options["quota_per_unit"])
        except InvalidOperation:
            quota_per_usd = Decimal(0)
        if not quota_per_usd.is_finite() or quota_per_usd <= 0:
            raise CommandError(f"--quota-per-unit: {options['quota_per_unit']!r} is no number above 0.")
        gateway, _ = Gateway.objects.get_or_create(name=options["gateway"])
        try:
            with open_source(options["source"]) as source:
                if not source.has(usage.TABLE):
                    raise CommandError(f"{source.name} has no table {usage.TABLE!r}.")
                self._report(self._import(source, gateway, quota_per_usd))
                tasks = self._import_tasks(source, gateway, quota_per_usd)
                self._import_tokens(source, gateway, quota_per_usd)
            if options["follow"]:
                pause = max(options["interval"], 0.2)
                self._follow(options["source"], gateway, quota_per_usd, pause, tasks)
        except (SourceError, NoRoomError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write("Stopped. The next run goes on from here.")

    def _import(self, source: NewApiSource, gateway: Gateway, quota_per_usd: Decimal) -> UsageProgress:
        done = UsageProgress()
        bar = Bar(self.stderr, total=source.last(usage.TABLE))
        for progress in usage.run(source, gateway, quota_per_usd=quota_per_usd):
            done = progress
            bar.show(progress.last_id, f"{progress.rows:,} rows")
        bar.finish()
        return done

    def _import_tasks(self, source: NewApiSource, gateway: Gateway, quota_per_usd: Decimal) -> Followed:
        """Import the tasks, where there are any; return how far, and which are to be looked at again."""
        followed = Followed()
        if not source.has(tasks_import.TABLE):
            return followed
        done = tasks_import.TaskProgress()
        bar = Bar(self.stderr, total=source.last(tasks_import.TABLE))
        for progress in tasks_import.run(source, gateway, quota_per_usd=quota_per_usd, followed=followed):
            done = progress
            bar.show(progress.last_id, f"{progress.rows:,} tasks")
        bar.finish()
        self.stdout.write(f"{done.rows:,} tasks: {done.changed:,} new or changed, {done.refused:,} refused.")
        for reason in done.reasons:
            self.stdout.write(f"  refused: {reason}")
        self._warn(done.given_up)
        return followed

    def _import_tokens(self, source: NewApiSource, gateway: Gateway, quota_per_usd: Decimal) -> None:
        """Take over what the tokens may do, where that may be read."""
        if tokens_import.can_read(source):
            kept = tokens_import.run(source, gateway, quota_per_usd=quota_per_usd, now=timezone.now())
            self.stdout.write(f"{kept:,} tokens: status, models, group, expiry and budget taken over.")
        else:
            self.stdout.write(
                f"No table {tokens_import.TABLE!r} that may be read: what tokens may do is unknown."
            )

    def _follow(
        self, dsn: str, gateway: Gateway, quota_per_usd: Decimal, interval: float, followed: Followed
    ) -> None:
        self.stderr.write("Following. Ctrl-C stops.")
        pause = interval
        tokens_at = time.monotonic()
        while True:
            time.sleep(pause)
            close_old_connections()
            try:
                # What an admin changes of the gateway holds from the next look on.
                gateway.refresh_from_db()
                # A connection of its own for each look: the source may restart meanwhile.
                with open_source(dsn) as source:
                    runs = usage.run(source, gateway, quota_per_usd=quota_per_usd)
                    for progress in runs:
                        self.stderr.write(f"{progress.rows:,} rows, {progress.records:,} new records")
                        self._warn(progress.given_up)
                    if source.has(tasks_import.TABLE):
                        passes = tasks_import.run(
                            source, gateway, quota_per_usd=quota_per_usd, followed=followed
                        )
                        for known in passes:
                            self._warn(known.given_up)
                    if time.monotonic() - tokens_at >= tokens_import.EVERY and tokens_import.can_read(source):
                        tokens_import.run(source, gateway, quota_per_usd=quota_per_usd, now=timezone.now())
                        tokens_at = time.monotonic()
                pause = interval
            except (SourceError, NoRoomError, DatabaseError) as error:
                if isinstance(error, DatabaseError) and trouble_of(error) is None:
                    raise
                pause = min(pause * 2, _MAX_PAUSE)
                self.stderr.write(f"{error} Next look in {pause:.0f} s.")

    def _report(self, done: UsageProgress) -> None:
        self.stdout.write(
            f"{done.rows:,} rows: {done.records:,} new records ({done.refunds:,} refunds), {done.folded:,}"
            f" rows folded into them, {done.duplicates:,} here already, {done.other:,} of other types,"
            f" {done.refused:,} refused. Net cost: {done.cost:.6f} USD."
        )
        for reason in done.reasons:
            self.stdout.write(f"  refused: {reason}")
        if done.late:
            self.stdout.write(f"{done.late:,} of the rows were committed after rows with higher IDs.")
        self._warn(done.given_up)

    def _warn(self, given_up: int) -> None:
        if given_up:
            self.stderr.write(
                f"{given_up:,} gaps in the IDs are no longer watched: more than {gaps.MOST:,} are open."
            )
