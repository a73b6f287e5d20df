"""``manage.py rejudge``: judge stored failures, of calls and of tasks, by today's rules."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from routescope.contracts import rejudging


class Command(BaseCommand):
    help = "Judge the cause of every stored failure by today's rules; the sums by cause follow."

    def handle(self, *args: Any, **options: Any) -> None:
        for what, rejudge in rejudging.of_all().items():
            self.stdout.write(f"The cause of {rejudge():,} {what} changed.")
