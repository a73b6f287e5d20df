"""Celery's processes as we start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from celery.beat import PersistentScheduler
from django.conf import settings


class EndedWhileMade(PersistentScheduler):
    """The scheduler of a beat that is told to end before its scheduler is made."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        if not kwargs["lazy"]:  # Celery's banner makes a lazy one.
            os.kill(os.getpid(), signal.SIGTERM)
        super().__init__(*args, **kwargs)


def test_a_beat_that_is_ended_while_it_starts_ends_without_a_trace(tmp_path: Path) -> None:
    scheduler = f"--scheduler={__name__}.{EndedWhileMade.__name__}"
    command = [sys.executable, "-u", "-m", "celery", "--app=routescope", "beat", scheduler]
    ended = subprocess.run(
        [*command, f"--schedule={tmp_path / 'schedule'}"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "is starting" in ended.stdout
    assert ended.stderr == ""
    assert ended.returncode == -signal.SIGTERM
