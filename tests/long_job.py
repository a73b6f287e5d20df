"""A Celery application with a job that takes as long as its test wants: it ends when a file is there."""

from __future__ import annotations

import time
from pathlib import Path

from routescope.celery import app


@app.task(name="tests.long_job", acks_late=True)
def long_job(folder: str, name: str) -> None:
    """Say in a file that it has begun, wait for another, and say that it is done."""
    place = Path(folder)
    (place / f"{name}-begun").touch()
    while not (place / f"{name}-may-end").exists():
        time.sleep(0.02)
    (place / f"{name}-done").touch()
