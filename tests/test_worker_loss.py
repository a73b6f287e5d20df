"""A worker whose queue dies amid a job: the job ends, the worker goes on, and its log stays short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings

from routescope import embedded
from routescope.embedded import place, running
from tests.embedded_state import server_ids, state

__all__ = ["state"]

pytestmark = pytest.mark.slow


@pytest.fixture
def worker(state: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A worker on the state folder's queue, and the file of what it says."""
    log = tmp_path / "log"
    with embedded.engines(durable=False), log.open("wb") as out:
        command = [sys.executable, "-m", "celery", "--app=tests.long_job", "--quiet", "worker"]
        process = subprocess.Popen(
            [*command, "--loglevel=WARNING", "--concurrency=2", "--without-gossip", "--without-mingle"],
            cwd=place.CHECKOUT,
            env={
                **os.environ,
                "DATABASE_URL": embedded.database_url(),
                "REDIS_URL": embedded.redis_url(),
                "SECRET_KEY": settings.SECRET_KEY,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield process, log
        process.terminate()
        process.wait(60)


def test_a_worker_whose_queue_dies_amid_a_job_goes_on(
    worker: tuple[subprocess.Popen[bytes], Path], state: Path, tmp_path: Path
) -> None:
    process, log = worker
    with Celery(broker=embedded.redis_url(), set_as_current=False) as sender:
        sender.send_task("tests.long_job", (str(tmp_path), "first"))
        assert running.wait((tmp_path / "first-begun").exists, 60), log.read_text()
        valkey = server_ids(state)[1]
        os.kill(valkey, signal.SIGKILL)
        assert running.wait(lambda: len({*server_ids(state)} - {valkey}) == 2, 30)
        assert running.wait(lambda: "cannot be reached" in log.read_text(), 30)
        (tmp_path / "first-may-end").touch()
        assert running.wait((tmp_path / "first-done").exists, 30), log.read_text()
        (tmp_path / "second-may-end").touch()
        sender.send_task("tests.long_job", (str(tmp_path), "second"))
        assert running.wait((tmp_path / "second-done").exists, 60), log.read_text()
    assert process.poll() is None
    said = log.read_text()
    assert "Traceback" not in said
    assert "DeprecationWarning" not in said
    assert said.count("The queue cannot be reached") == 1
    assert running.wait(lambda: "The queue is back" in log.read_text(), 30), said
