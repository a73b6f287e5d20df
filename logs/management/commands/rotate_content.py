"""``manage.py rotate_content``: re-encrypt stored content with the first of ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from logs import contents


class Command(BaseCommand):
    help = "Re-encrypt stored content with the first key. Afterwards older keys may be taken away."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = contents.rotate()
        self.stdout.write(f"{done:,} contents are under the first key now.")
        if lost:
            self.stderr.write(
                f"{lost:,} contents are under a key that is not configured, and stay as they are."
            )
