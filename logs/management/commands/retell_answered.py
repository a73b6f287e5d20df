"""``manage.py retell_answered``: tell anew of which calls another model answered than was asked for."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from logs.maintenance.answered import retell


class Command(BaseCommand):
    help = "Tell anew of which calls another model answered, by what deployments stand for now."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Told anew of {retell():,} calls.")
