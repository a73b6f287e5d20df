"""Importing new-api in a process of its own: one that follows a living system, and one that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings as product
from django.db import connection

from accounts.models import Gateway
from logs.models import ImportPosition, UsageRecord
from tests.newapi_installation import CALL, Installation, installation
from tests.sums import check_rollups

__all__ = ["installation"]

_PEER = Path(__file__).resolve().parent.parent.parent / "shared" / "bench" / "peer_newapi.sql"


@pytest.fixture
def peer(transactional_db: None) -> Callable[[int], str]:
    """Fill the peer's table in a schema of the test database; return its DSN."""

    def fill(rows: int) -> str:
        statements = [
            line for line in _PEER.read_text().splitlines() if not line.startswith(("\\", "vacuum"))
        ]
        script = "\n".join(statements).replace(":rows", str(rows))
        with connection.cursor() as cursor:
            cursor.execute(script)
        settings = connection.settings_dict
        return (
            f"postgresql://{settings['USER']}:{settings['PASSWORD']}@/{settings['NAME']}?host={settings['HOST']}"
            f"&port={settings['PORT']}&options=-csearch_path%3Dpeer_newapi"
        )

    return fill


@pytest.mark.slow
def test_following_keeps_up_with_a_living_system(transactional_db: None, installation: Installation) -> None:
    installation.log(**CALL, request_id="first")
    command = [sys.executable, "manage.py", "import_newapi", "--follow", "--interval", "0.2"]
    environment = {**_environment(), "NEWAPI_DSN": f"sqlite:///{installation.path}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for request_id in ("first", "second", "third", "late"):
            if request_id == "late":
                # In the gap that the third left.
                installation.log(**CALL, request_id=request_id, id=5)
            elif request_id != "first":
                installation.log(
                    **CALL, request_id=request_id, **({"id": 9} if request_id == "third" else {})
                )
            deadline = time.monotonic() + 120
            while not UsageRecord.objects.filter(request_id=request_id).exists():
                assert time.monotonic() < deadline, request_id
                assert process.poll() is None
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(120)
    assert UsageRecord.objects.count() == 4


def _environment() -> dict[str, str]:
    """Return what a process of its own needs to use the database of the tests."""
    settings = connection.settings_dict
    host = quote(settings["HOST"], safe="")
    login = f"{settings['USER']}:{settings['PASSWORD']}@{host}:{settings['PORT']}"
    return {
        **os.environ,
        "SECRET_KEY": product.SECRET_KEY,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": f"postgresql://{login}/{settings['NAME']}",
    }


@pytest.mark.skipif(not _PEER.is_file(), reason="The peer's table (../shared/bench) is not on this machine.")
@pytest.mark.slow
def test_a_killed_import_goes_on_and_the_totals_are_the_sources_own(peer: Callable[[int], str]) -> None:
    """RS_IMPORT_ROWS=1000000 for the full size."""
    size = int(os.environ.get("RS_IMPORT_ROWS", "30000"))
    dsn = peer(size)
    command = [sys.executable, "manage.py", "import_newapi"]
    environment = {**_environment(), "NEWAPI_DSN": dsn}
    started = time.monotonic()
    kills = 0
    while kills < 3:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        reached = ImportPosition.objects.values_list("last_id", flat=True).first() or 0
        while process.poll() is None and (_position() <= reached):
            time.sleep(0.02)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    final = subprocess.run(
        [*_timed(), *command], env=environment, capture_output=True, text=True, check=False
    )
    assert final.returncode == 0, final.stderr[-2000:]
    print(f"{kills} kills, {time.monotonic() - started:.1f} s", final.stdout, final.stderr[-1200:])  # noqa: T201
    assert kills
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT username, count(*), sum(quota) / 500000.0, sum(prompt_tokens), sum(completion_tokens)"
            " FROM peer_newapi.logs GROUP BY 1 ORDER BY 1"
        )
        theirs = cursor.fetchall()
        cursor.execute(
            "SELECT u.name, sum(d.records), sum(d.cost), sum(d.input_tokens), sum(d.output_tokens)"
            " FROM usage_day d JOIN accounts_user u ON u.id = d.user_id GROUP BY 1 ORDER BY 1"
        )
        ours = cursor.fetchall()
    assert sorted(ours) == sorted(theirs)
    assert UsageRecord.objects.count() == size
    check_rollups()
    Gateway.objects.get(name="new-api")


def _position() -> int:
    return ImportPosition.objects.values_list("last_id", flat=True).first() or 0


def _timed() -> list[str]:
    return ["/usr/bin/time", "-v"] if Path("/usr/bin/time").exists() else []
