"""The parts of an export: each row is read once, and a later run keeps what still holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.exports import exporting
from accounts.identities import merging
from accounts.models import ApiToken, Export, Gateway, User
from routescope.exports import formats, parquet, parts
from tests.cast import just_now
from tests.export_cast import ALL, folder, made, many
from tests.task_cast import a_task
from tests.test_exports import stored
from tests.test_staff import staff

__all__ = ["folder", "many"]


class Killed(BaseException):
    """The end of a worker."""


def killed_while_joining(user: User, source: str, form: str, columns: Sequence[str]) -> Export:
    """Ask for an export whose worker dies once all parts are there."""
    export = exporting.ask(user, source, form, columns, QueryDict("range=all"), gzipped=False)

    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "join", die)
        with pytest.raises(Killed):
            exporting.run(export.pk)
    return export


def resumed(export: Export, before_joining: Callable[[Sequence[Path]], None] = lambda parts: None) -> Export:
    """Let another worker go on, and look at the parts that it joins."""
    Export.objects.filter(pk=export.pk).update(heard_at=timezone.now() - 2 * exporting.SILENCE)

    def watched(form: str, parts: Sequence[Path], *args: Any, **more: Any) -> None:
        before_joining(parts)
        formats.join(form, parts, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "join", watched)
        assert exporting.run(export.pk)
    export.refresh_from_db()
    assert (export.status, export.runs) == ("done", 2)
    return export


def times(paths: Sequence[Path]) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


def parts_of(export: Export) -> list[Path]:
    return sorted((export.folder / "parts").glob("part-*"))


@pytest.mark.parametrize("form", Export.Format.values)
def test_killed_while_its_parts_are_joined_they_are_joined_anew_and_none_is_written_again(
    many: User, form: str
) -> None:
    export = killed_while_joining(many, "usage", form, ALL)
    left = export.folder / "joined-by-another"
    left.mkdir()
    (left / "file").write_bytes(b"half of it")
    before = times(parts_of(export))
    joined: list[int] = []
    resumed(export, lambda parts: joined.extend(times(parts)))
    assert len(before) == 5 and joined == before
    assert export.path.read_bytes() == made(many, form).path.read_bytes()
    assert [path.name for path in export.folder.iterdir()] == ["file"]


def test_a_part_that_was_cut_off_on_the_disk_is_written_again_and_what_comes_after_it(many: User) -> None:
    export = killed_while_joining(many, "usage", "csv", ALL)
    paths = parts_of(export)
    before = times(paths)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    joined: list[int] = []
    resumed(export, lambda parts: joined.extend(times(parts)))
    same = [old == new for old, new in zip(before, joined, strict=True)]
    assert same == [True, True, False, False, False]
    assert export.path.read_bytes() == made(many).path.read_bytes()


@pytest.mark.parametrize("columns", [ALL, ["cost", "receipt"]])
def test_each_row_is_read_once(many: User, columns: list[str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        export = made(many, columns=columns)
    reads = [query["sql"] for query in queries if 'FROM "usage_record"' in query["sql"]]
    # Five parts, and the look for a sixth.
    assert (export.rows, len(reads)) == (200, 6)


def test_rows_of_much_text_are_written_in_groups_that_fit_into_memory(
    many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 200)
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1)
    monkeypatch.setattr("routescope.exports.sources.CHUNK", 30)
    export = made(many, "parquet")
    assert pq.ParquetFile(export.path).num_row_groups == 7
    assert pq.read_table(export.path).to_pylist() == stored(many)


def tasks_of(user: User, gateway: Gateway, **fields: Any) -> None:
    first = just_now() - timedelta(hours=2)
    for number in range(90):
        a_task(user, gateway, submitted_at=first + timedelta(seconds=number), **fields)


def test_a_name_that_changed_meanwhile_is_the_same_in_all_rows(alice: User, gateway: Gateway) -> None:
    token = ApiToken.objects.create(owner=alice, name="before")
    tasks_of(alice, gateway, token=token)
    export = killed_while_joining(alice, "tasks", "csv", ["token"])
    ApiToken.objects.update(name="after")
    resumed(export)
    assert export.path.read_text("utf-8-sig").split() == ["token", *["after"] * 90]


def test_what_may_no_longer_be_read_is_in_no_part(gateway: Gateway, db: None) -> None:
    bob = staff("view", email="bob@example.com")
    team = User.objects.create(name="team-7", email=None)
    tasks_of(team, gateway, result="a yellow whale")
    merging.merge(team, bob)
    export = killed_while_joining(User.objects.get(pk=bob.pk), "tasks", "csv", ["task_id", "result"])
    assert "a yellow whale" in str(pq.read_table(parts_of(export)[0]).to_pylist())
    bob.user_permissions.remove(Permission.objects.get(codename="view_usagecontent"))
    resumed(export)
    assert export.rows == 90
    assert "whale" not in export.path.read_text()


def test_a_worker_that_was_taken_for_dead_takes_nothing_away_from_the_next(many: User) -> None:
    export = killed_while_joining(many, "usage", "csv", ["cost"])
    export.refresh_from_db()
    late = Export.objects.get(pk=export.pk)
    resumed(export)
    exporting._fail(late, Export.Problem.UNEXPECTED)
    export.refresh_from_db()
    assert export.is_ready and export.path.exists()
