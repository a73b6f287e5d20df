"""``manage.py rotate_content``: re-encrypt what is stored with the first of ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from logs.content import rotation


class Command(BaseCommand):
    help = "Re-encrypt all that is encrypted with the first key. Afterwards older keys may be taken away."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = rotation.rotate()
        self.stdout.write(f"{done:,} values were put under the first key.")
        if lost:
            self.stderr.write(
                f"{lost:,} values are under a key that is not configured, and stay as they are."
            )
