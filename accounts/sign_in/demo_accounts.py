"""The demo's accounts, whose password everybody knows: they open only where nobody else comes."""

from __future__ import annotations

from django.conf import settings

DEMO_PASSWORD = "routescope-demo"  # noqa: S105 - printed at start, for data that is made up
"""The password of the demo's user and admin."""


def opens(password: str) -> bool:
    """Say whether a password may be tried here at all.

    The demo's may not where others reach the console, however its accounts came into the database.
    """
    return password != DEMO_PASSWORD or settings.ONLY_THIS_MACHINE
