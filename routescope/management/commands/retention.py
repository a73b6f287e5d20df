"""``manage.py retention [--dry-run]``: drop what has expired, make coming partitions, say what was done."""

from __future__ import annotations

import os
import pwd
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from logs.maintenance import retention
from tasks.maintenance import retention as tasks


class Command(BaseCommand):
    help = "Drop expired content, records, tasks and sums, and make the coming partitions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        by = f"the system's user {_invoker()} (manage.py retention)"
        dry = options["dry_run"]
        for line in retention.run(dry=dry, by=by).lines:
            self.stdout.write(line)
        for line in tasks.run(dry=dry, by=by).lines:
            self.stdout.write(line)


def _invoker() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
