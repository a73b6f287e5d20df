"""``manage.py price_unpriced``: price stored calls that had no price."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from logs.maintenance.late_prices import price_unpriced


class Command(BaseCommand):
    help = "Price stored calls without a price, where there is one by now; the sums follow."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{price_unpriced():,} records got a price.")
