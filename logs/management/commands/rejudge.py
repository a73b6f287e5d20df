"""``manage.py rejudge``: judge stored failures by today's rules."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from logs.maintenance.rejudging import rejudge


class Command(BaseCommand):
    help = "Judge the cause of every stored failure by today's rules; the sums by cause follow."

    def handle(self, *args: Any, **options: Any) -> None:
        changed = rejudge()
        self.stdout.write(f"The cause of {changed:,} records changed.")
