"""A disk that is nearly full: records wait at their gateways, and PostgreSQL keeps what it needs to go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connection
from django.http import QueryDict
from django.test import Client

from accounts.exports import exporting
from accounts.models import Export, Gateway, User
from logs.maintenance import compaction
from logs.maintenance.amend import Amendment, amend
from logs.models import UsageRecord
from routescope.data import room, version
from routescope.data.outages import Outage
from routescope.embedded import disk, home, postgres_conf
from routescope.embedded.disk import MB, Disk
from routescope.exports import parts
from tests.cast import event, store
from tests.embedded_state import state
from tests.sending import Sender, sender

__all__ = ["sender", "state"]

GB = 1024 * MB


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A disk of 400 MB under the database; call it with the MB that are free."""
    monkeypatch.setattr(room, "_refusal", Outage("Records are refused", "Records are taken in again"))

    def have(free: int) -> None:
        monkeypatch.setattr(room, "of_database", lambda: Disk(400 * MB, free * MB))

    return have


def post(sender: Sender, name: str) -> int:
    now = "2026-01-31T09:30:00Z"
    answer = sender.post(
        "/api/v1/usage", [{"request_id": name, "created_at": now, "user": "u", "model": "m"}]
    )
    if answer.status_code == 503:
        assert int(answer["Retry-After"]) > 0
        assert "disk is nearly full" in answer.json()["error"]
    return int(answer.status_code)


# --- Records -----------------------------------------------------------------------------------------------


def test_records_are_refused_before_the_disk_is_full_and_taken_in_when_there_is_room(
    sender: Sender, small: Callable[[int], None]
) -> None:
    small(200)
    assert post(sender, "a") == 200
    small(49)
    assert post(sender, "b") == 503
    assert set(UsageRecord.objects.values_list("request_id", flat=True)) == {"a"}
    small(51)  # Not clearly more room than is kept: no taking in by drops.
    assert post(sender, "b") == 503
    small(200)
    assert post(sender, "b") == 200


@pytest.mark.parametrize("path", ["/api/v1/usage", "/api/v1/ingest/litellm", "/v1/traces", "/api/v1/tasks"])
def test_every_way_in_is_refused(sender: Sender, small: Callable[[int], None], path: str) -> None:
    small(10)
    answer = sender.post(path, b"{}")
    assert answer.status_code == 503, path
    assert answer["Retry-After"]


def test_pages_go_on(small: Callable[[int], None], alice_client: Client) -> None:
    small(0)
    assert alice_client.get("/records/usage/").status_code == 200


def test_refusing_is_one_line_in_the_log(
    sender: Sender, small: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    small(10)
    for number in range(50):
        post(sender, f"r{number}")
    small(200)
    post(sender, "r0")
    ours = [record for record in caplog.records if record.name.startswith("routescope")]
    assert [record.getMessage().split(":")[0].split(" after")[0] for record in ours] == [
        "Records are refused",
        "Records are taken in again",
    ]


def test_batches_under_way_count_for_what_they_have_not_taken_yet(small: Callable[[int], None]) -> None:
    small(50 + 7)
    with room.for_records(), room.for_records(), pytest.raises(room.NoRoomError), room.for_records():
        pass
    assert room._under_way == 0


def test_a_batch_that_was_let_in_before_does_not_end_the_refusal(small: Callable[[int], None]) -> None:
    small(200)
    with room.for_records():
        small(10)
        with pytest.raises(room.NoRoomError), room.for_records():
            pass
    assert room._refusal.is_on
    small(200)
    with room.for_records():
        pass
    assert not room._refusal.is_on


def test_a_real_database_that_says_its_disk_is_full_is_no_failure_of_ours(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "of_database", lambda: None)

    def full(*args: object) -> None:
        raise OperationalError from psycopg.errors.DiskFull("could not extend file")

    with monkeypatch.context() as patch:
        patch.setattr("logs.ingest.batches.store", full)
        assert post(sender, "a") == 503
    assert post(sender, "a") == 200


def test_another_error_of_the_database_is_not_taken_for_a_full_disk() -> None:
    assert room.is_full(psycopg.errors.DiskFull())
    assert not room.is_full(OperationalError("gone"))
    assert not room.is_full(psycopg.errors.QueryCanceled())


def test_only_the_embedded_databases_disk_is_known(
    db: None, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    known = room.of_database()
    if not os.environ.get("DATABASE_URL"):
        assert known is not None
        assert known.size > 0
    monkeypatch.setitem(connection.settings_dict, "HOST", "db.example")
    assert room.of_database() is None


# --- Other big writers -------------------------------------------------------------------------------------


def test_files_leave_more_free_than_records_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "of", classmethod(lambda cls, folder: cls(400 * MB, 100 * MB)))
    room.for_file(tmp_path, 20 * MB)
    with pytest.raises(room.NoRoomError):
        room.for_file(tmp_path, 30 * MB)


@pytest.mark.django_db(transaction=True)
def test_an_export_waits_for_room_and_goes_on_from_what_it_has(
    alice: User, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EXPORTS_DIR = tmp_path
    monkeypatch.setattr(parts, "PART_ROWS", 2)
    store(gateway, *(event(minutes=number) for number in range(9)))
    export = exporting.ask(alice, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
    free = [300, 300, 10]

    def disk_of(cls: type[Disk], folder: Path) -> Disk:
        return cls(400 * MB, (free.pop(0) if len(free) > 1 else free[0]) * MB)

    monkeypatch.setattr(Disk, "of", classmethod(disk_of))
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.QUEUED
    assert export.pk in exporting.waiting()
    assert list((export.folder / "parts").glob("part-*"))
    free[:] = [300]
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE
    assert len(export.path.read_text().splitlines()) == 1 + 9


@pytest.mark.django_db(transaction=True)
def test_amendments_of_many_records_wait_for_room(small: Callable[[int], None]) -> None:
    small(10)
    with pytest.raises(room.NoRoomError):
        amend([Amendment(1, UUID(int=0), 0, None)])


def test_an_old_postgresql_is_refused_in_one_sentence(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert version.trouble() is None
    assert version.check(databases=["default"]) == []
    monkeypatch.setattr(version, "OLDEST", 99)
    assert (version.trouble() or "").endswith("Routescope needs 99 or later.")
    [error] = version.check(databases=["default"])
    assert error.is_serious()
    with pytest.raises(SystemCheckError, match="needs 99 or later"):
        call_command("check", databases=["default"])


@pytest.mark.django_db(transaction=True)
def test_a_month_is_not_packed_without_room_for_its_indexes(small: Callable[[int], None]) -> None:
    small(50)
    assert not compaction._has_room("usage_record_default")
    small(300)
    assert compaction._has_room("usage_record_default")


# --- The engines' part -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kept", "log", "ballast"),
    [
        (400 * MB, 50, 48, 16),
        (2 * GB, 256, 256, 64),
        (20 * GB, 2560, 2560, 256),
        (1024 * GB, 4096, 4096, 256),
    ],
)
def test_what_is_kept_free_follows_the_disk(size: int, kept: int, log: int, ballast: int) -> None:
    found = Disk(size, size)
    assert (found.kept // MB, found.ballast // MB) == (kept, ballast)
    settings = postgres_conf._disk(found)
    assert settings["max_wal_size"] == f"{log}MB"
    assert int(settings["min_wal_size"][:-2]) <= log
    assert log + kept + ballast < size // MB // 2


def test_the_settings_are_those_of_the_datas_disk(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "of", classmethod(lambda cls, folder: cls(400 * MB, 300 * MB)))
    made = home.prepare(state)
    assert "max_wal_size = '48MB'" in postgres_conf.settings(made, made.folder, durable=True)


def test_the_ballast_is_given_up_when_the_disk_is_full_and_taken_in_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.prepare(state).folder

    def free(megabytes: int) -> None:
        monkeypatch.setattr(Disk, "of", classmethod(lambda cls, folder: cls(400 * MB, megabytes * MB)))

    free(300)
    assert disk.trim(state) is None
    assert (folder / "ballast").stat().st_size == 16 * MB
    free(40)
    assert disk.trim(state) is None
    assert (folder / "ballast").exists()
    free(3)
    assert disk.trim(state) == "is full: 16 MB of ballast given up"
    assert not (folder / "ballast").exists()
    assert disk.trim(state) is None
    free(60)  # Enough to go on, not yet to set aside.
    assert disk.trim(state) is None
    assert not (folder / "ballast").exists()
    free(300)
    disk.trim(state)
    assert (folder / "ballast").exists()
