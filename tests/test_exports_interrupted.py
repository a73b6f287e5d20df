"""Exports that are interrupted: whole after any interruption, or nothing is left."""

from __future__ import annotations

import hashlib
from typing import Any
from unittest.mock import patch

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.http import QueryDict
from django.utils import timezone

from accounts.exports import exporting, jobs
from accounts.models import Export, Gateway, User
from tests.cast import event, signed_in, store
from tests.export_cast import ALL, folder, made, many

__all__ = ["folder", "many"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx", "parquet"])
def test_killed_halfway_and_resumed_the_file_is_whole_and_identical(
    many: User, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(many, form)

    class Killed(BaseException):
        pass

    tell = exporting._tell

    def dying(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows", 0) >= 80:
            raise Killed

    export = exporting.ask(many, "usage", form, ALL, QueryDict("range=all"), gzipped=False)
    monkeypatch.setattr(exporting, "_tell", dying)
    with pytest.raises(Killed):
        exporting.run(export.pk)
    monkeypatch.setattr(exporting, "_tell", tell)
    assert not exporting.run(export.pk), "its worker may still live"
    assert export.pk not in exporting.waiting()
    Export.objects.update(heard_at=timezone.now() - 2 * exporting.SILENCE)
    assert exporting.waiting() == [export.pk] or export.pk in exporting.waiting()
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert (export.status, export.runs) == ("done", 2)
    assert export.path.read_bytes() == whole.path.read_bytes()
    assert export.sha256 == hashlib.sha256(whole.path.read_bytes()).hexdigest()


def test_a_part_whose_rows_changed_meanwhile_is_written_anew(
    many: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = exporting._tell

    def dying(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows", 0) >= 120:
            raise KeyboardInterrupt

    export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
    monkeypatch.setattr(exporting, "_tell", dying)
    with pytest.raises(KeyboardInterrupt):
        exporting.run(export.pk)
    monkeypatch.setattr(exporting, "_tell", tell)
    store(gateway, event(request_id="late", minutes=4 * 1440 - 5))
    Export.objects.update(heard_at=timezone.now() - 2 * exporting.SILENCE)
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.agrees
    assert "late" in export.path.read_text()
    assert export.path.read_text() == made(many, columns=["request_id"]).path.read_text()


def test_cancelled_it_stops_and_leaves_nothing(many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    tell = exporting._tell

    def cancelling(export: Export, **changes: Any) -> None:
        if changes.get("rows", 0) >= 80:
            assert exporting.cancel(many, export.pk)
        tell(export, **changes)

    monkeypatch.setattr(exporting, "_tell", cancelling)
    export = exporting.ask(many, "usage", "csv", ALL, QueryDict("range=all"), gzipped=False)
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.CANCELLED
    assert not export.folder.exists()


def test_too_many_rows_or_bytes_are_refused_in_words(many: User, settings: Any) -> None:
    for name, value, problem in (("EXPORT_MAX_ROWS", 10, "rows"), ("EXPORT_MAX_MEGABYTES", 0, "size")):
        kept = getattr(settings, name)
        setattr(settings, name, value)
        export = exporting.ask(many, "usage", "csv", ALL, QueryDict("range=all"), gzipped=False)
        exporting.run(export.pk)
        export.refresh_from_db()
        assert (export.status, export.problem) == ("failed", problem)
        assert not export.folder.exists()
        setattr(settings, name, kept)
    page = signed_in(many).get("/exports/").content.decode()
    assert "More rows than one export may hold" in page


@pytest.mark.django_db(transaction=True)
def test_all_parts_are_of_one_snapshot(
    gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(gateway, *(event(minutes=n) for n in range(100)))
    tell = exporting._tell

    def sending(export: Export, **changes: Any) -> None:
        tell(export, **changes)
        if changes.get("rows") == 40:
            store(gateway, event(minutes=-5), event(minutes=-9))

    monkeypatch.setattr(exporting, "_tell", sending)
    export = made(alice, columns=["request_id"])
    assert (export.rows, export.agrees) == (100, True)


@pytest.mark.django_db(transaction=True)
def test_an_export_outlives_a_trouble_of_the_database_and_its_turn(many: User) -> None:
    """What is locked, away or takes more than a turn costs an export time, and nothing else."""
    for trouble in (OperationalError("the connection is lost"), SoftTimeLimitExceeded()):
        export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
        with patch.object(exporting, "write_parts", side_effect=trouble):
            jobs.run_export(str(export.pk))
        export.refresh_from_db()
        assert export.status in ("running", "queued")
        Export.objects.filter(status="running").update(heard_at=timezone.now() - 2 * exporting.SILENCE)
        assert exporting.waiting() == [export.pk]
        jobs.run_export(str(export.pk))
        export.refresh_from_db()
        assert (export.status, export.runs) == ("done", 2)


@pytest.mark.django_db(transaction=True)
def test_an_export_that_never_comes_to_its_end_is_given_up(many: User) -> None:
    export = exporting.ask(many, "usage", "csv", ["request_id"], QueryDict("range=all"), gzipped=False)
    with patch.object(exporting, "write_parts", side_effect=SoftTimeLimitExceeded()):
        for _ in range(exporting.MOST_RUNS):
            jobs.run_export(str(export.pk))
    export.refresh_from_db()
    assert export.status == "failed"
