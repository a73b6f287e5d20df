"""Exports from the wish to the file: asked for, claimed by a worker, written, resumed, cancelled, expired.

The database holds what is to be done: a job that comes twice, late or never costs nothing but time. A worker
that dies stops being heard of; another one claims the export and goes on from its parts.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core import signing
from django.db import connection, models, transaction
from django.http import Http404, QueryDict
from django.utils import timezone

from accounts.models import Export, User
from accounts.people import time_zones
from routescope.data import room, troubles
from routescope.data.private_files import private_files
from routescope.data.snapshot import SharedSnapshot
from routescope.exports.formats import COMPRESSIBLE, join
from routescope.exports.parts import TooLargeError, sha256_of, write_parts
from routescope.exports.sources import SOURCES, Column, Figures, Selected
from routescope.text.formatting import plain
from routescope.wire.reading import SUM_DIGITS

logger = logging.getLogger(__name__)

MOST_OPEN = 3
"""Exports that a person may have under way at a time."""
TURN = timedelta(hours=1)
"""How long a worker writes at an export before others have their turn. The next goes on from its parts, which
are joined in one turn: the largest workbooks take half of one."""
MOST_RUNS = 24
"""Turns after which an export is given up."""
SILENCE = timedelta(seconds=90)
"""After so long without a sign a worker counts as dead: its longest steps, a part, a sheet, take seconds."""
LINK_SECONDS = 300
_SALT = "accounts.exports"
_MEBIBYTE = 1024 * 1024


class StoppedError(Exception):
    """The export was cancelled, or another worker has it."""


def ask(
    user: User, source: str, form: str, columns: Sequence[str], query: QueryDict, *, gzipped: bool
) -> Export:
    """Keep a person's wish, its range of time fixed as of now. Raises KeyError for an unknown source."""
    fixed = SOURCES[source].fixed(user.pk, query)
    return Export.objects.create(
        user=user,
        source=source,
        format=form,
        is_gzipped=gzipped and form in COMPRESSIBLE,
        columns=list(columns),
        query=fixed.urlencode(),
        time_zone=user.time_zone,
    )


def open_of(user: User) -> int:
    return Export.objects.filter(user=user, status__in=_OPEN).count()


def waiting() -> list[UUID]:
    """Return the exports that no living worker has."""
    lost = models.Q(status=Export.Status.RUNNING, heard_at__lt=timezone.now() - SILENCE)
    found = Export.objects.filter(models.Q(status=Export.Status.QUEUED) | lost)
    return list(found.order_by("created_at", "pk").values_list("pk", flat=True)[:100])


def run(pk: UUID) -> bool:
    """Claim an export and write it. Returns whether it was there to be claimed."""
    export = _claim(pk)
    if export is None:
        return False
    try:
        with private_files():
            _write(export)
    except StoppedError:
        logger.info("Export %s was stopped", pk)
    except room.NoRoomError:
        logger.warning("Export %s waits: there is too little room on the disk", pk)
        _wait(export)
    except SoftTimeLimitExceeded:
        _give_back(export)
        # The job notes it, and breaks off what the database still does for it.
        raise
    except TooLargeError:
        _fail(export, Export.Problem.SIZE)
    except Http404:
        _fail(export, Export.Problem.RIGHTS)
    except _TooManyRowsError:
        _fail(export, Export.Problem.ROWS)
    except Exception as error:
        if troubles.tell(error, f"export {pk}") is not None and export.runs < MOST_RUNS:
            # Nothing is wrong with the export: after a silence the next worker goes on.
            return True
        logger.exception("Export %s failed", pk)
        _fail(export, Export.Problem.UNEXPECTED)
    return True


def cancel(user: User, pk: UUID) -> bool:
    """Cancel one of the person's exports that is under way. Its worker notices within a part."""
    mine = Export.objects.filter(user=user, pk=pk, status__in=_OPEN)
    changed = mine.update(status=Export.Status.CANCELLED, finished_at=timezone.now(), lease=None)
    return bool(changed)


def remove(user: User, pk: UUID) -> bool:
    """Delete one of the person's exports that has ended, with its file."""
    export = Export.objects.filter(user=user, pk=pk).exclude(status__in=_OPEN).first()
    if export is None:
        return False
    _erase(export)
    export.delete()
    return True


def tidy() -> int:
    """Delete the files and rows that have expired. Returns how many."""
    old = timezone.now() - timedelta(days=settings.EXPORT_DAYS)
    ended = models.Q(expires_at__lt=timezone.now()) | models.Q(expires_at=None, finished_at__lt=old)
    gone = list(Export.objects.filter(ended).exclude(status__in=_OPEN)[:1000])
    for export in gone:
        _erase(export)
        export.delete()
    return len(gone)


def signed(export: Export) -> str:
    """Return what opens an export's file for ``LINK_SECONDS``, for its owner."""
    return signing.dumps([str(export.pk), export.user_id], salt=_SALT)


def opened(signature: str) -> Export | None:
    """Return the export that a signature opens; None for one that is forged, too old or outlived."""
    try:
        pk, user_id = signing.loads(signature, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature:
        return None
    return Export.objects.filter(pk=pk, user_id=user_id, status=Export.Status.DONE).first()


def manifest(export: Export) -> dict[str, object]:
    """Return what a file is: its filters, its rows and cost beside the header's, how long its calls took, its
    checksum.
    """
    return {
        "file": export.file_name,
        "source": export.source,
        "filters": dict(QueryDict(export.query).lists()),
        "columns": export.columns,
        "time_zone": export.time_zone,
        "asked_for": export.created_at.isoformat(),
        "rows": export.rows,
        "cost_usd": plain(export.cost),
        "header": {"rows": export.expected_rows, "cost_usd": plain(export.expected_cost)},
        "agrees_with_header": export.agrees,
        "percentiles": _in_order(export.percentiles),
        "size_bytes": export.size,
        "sha256": export.sha256,
        "runs": export.runs,
        "notes": _NOTES.get(export.format, []),
    }


def _in_order(figures: Figures | None) -> Figures | None:
    """Return figures by name, how many they are of first: the database keeps no order."""
    if figures is None:
        return None
    return {name: None if one is None else dict(sorted(one.items())) for name, one in sorted(figures.items())}


_NOTES = {
    "csv": [
        "UTF-8, with a byte order mark at the beginning: spreadsheets know it by that.",
        "A text that a spreadsheet could take for a formula has an apostrophe in front.",
    ],
    "jsonl": ["Money is a string of its decimals."],
    "xlsx": [
        "Times are in the time zone named in the heading; the column beside gives the offset from UTC.",
        "Numbers of more than 15 digits are texts: Excel would round them.",
        "Texts end after 32,767 characters, Excel's limit. Rows past 1,048,575 are on further sheets.",
    ],
}
_OPEN = (Export.Status.QUEUED, Export.Status.RUNNING)


class _TooManyRowsError(Exception):
    pass


def _claim(pk: UUID) -> Export | None:
    with transaction.atomic():
        export = Export.objects.select_for_update(skip_locked=True).filter(pk=pk, status__in=_OPEN).first()
        now = timezone.now()
        if export is None or (
            export.status == Export.Status.RUNNING and export.heard_at and export.heard_at > now - SILENCE
        ):
            return None
        export.status = Export.Status.RUNNING
        export.lease = uuid4()
        export.heard_at = now
        export.started_at = export.started_at or now
        export.runs += 1
        export.save()
    return export


def _write(export: Export) -> None:
    zone = time_zones.named(export.time_zone)
    source = SOURCES[export.source]
    known = {column.name: column for column in source.columns}
    columns = [known[name] for name in export.columns]
    export.folder.mkdir(parents=True, exist_ok=True)
    with timezone.override(zone), SharedSnapshot() as snapshot:
        with snapshot.reading():
            selected = source.select(export.user_id, QueryDict(export.query))
        _count(export, selected, snapshot)
        written = write_parts(
            selected,
            columns,
            zone,
            export.folder / "parts",
            snapshot.reading,
            lambda rows: _go_on(export, rows),
            settings.EXPORT_MAX_MEGABYTES * _MEBIBYTE,
        )
    _join(export, written.paths, columns, zone)
    now = timezone.now()
    _tell(
        export,
        rows=written.rows,
        cost=written.cost,
        size=export.path.stat().st_size,
        sha256=sha256_of(export.path),
        status=Export.Status.DONE,
        finished_at=now,
        expires_at=now + timedelta(days=settings.EXPORT_DAYS),
        lease=None,
    )
    if not export.agrees:
        logger.error("Export %s differs from its header: %s", export.pk, json.dumps(manifest(export)))
    shutil.rmtree(export.folder / "parts", ignore_errors=True)


def _count(export: Export, selected: Selected, snapshot: SharedSnapshot) -> None:
    """Keep what the page's header says of the rows, in the snapshot that the file is of."""
    rows, cost = 0, Decimal(0)
    counting = selected.counts()
    while True:
        with snapshot.reading():
            counted = next(counting, None)
        if counted is None:
            break
        with localcontext(prec=SUM_DIGITS):
            rows, cost = rows + counted.rows, cost + counted.cost
        if rows > settings.EXPORT_MAX_ROWS:
            _tell(export, expected_rows=rows, expected_cost=cost)
            raise _TooManyRowsError
        _tell(export)
    _tell(
        export, expected_rows=rows, expected_cost=cost, percentiles=_percentiles(export, selected, snapshot)
    )


def _percentiles(export: Export, selected: Selected, snapshot: SharedSnapshot) -> Figures | None:
    found: Figures | None = None
    finding = selected.percentiles()
    while True:
        with snapshot.reading():
            try:
                found = next(finding)
            except StopIteration:
                return found
        _tell(export)


def _join(export: Export, parts: Sequence[Path], columns: Sequence[Column], zone: ZoneInfo) -> None:
    """Make the file of its parts. What an interrupted run left of it is made anew, the parts stay."""
    for left in export.folder.glob("joined-*"):
        shutil.rmtree(left, ignore_errors=True)
    # A folder of its own: a worker that was taken for dead may still come back to its own.
    folder = export.folder / f"joined-{export.lease}"
    folder.mkdir()
    target = folder / "file"

    def beat(joined: int) -> None:
        _tell(export)
        if target.exists() and target.stat().st_size > settings.EXPORT_MAX_MEGABYTES * _MEBIBYTE:
            raise TooLargeError
        # By what the parts so far have become, the others will take as much each.
        held = sum(path.stat().st_size for path in (folder.iterdir() if joined else parts))
        room.for_file(settings.EXPORTS_DIR, held * (len(parts) - joined) // (joined or len(parts)))

    try:
        join(export.format, parts, columns, zone, target, beat, is_gzipped=export.is_gzipped)
        beat(len(parts))
        target.replace(export.path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(export: Export, **changes: object) -> None:
    """Keep how far it is. Raises StoppedError where the export is no longer this worker's."""
    mine = Export.objects.filter(pk=export.pk, lease=export.lease, status=Export.Status.RUNNING)
    if not mine.update(heard_at=timezone.now(), **changes):
        if Export.objects.filter(pk=export.pk, status=Export.Status.CANCELLED).exists():
            _erase(export)
        raise StoppedError
    for name, value in changes.items():
        setattr(export, name, value)


def _go_on(export: Export, rows: int) -> None:
    """Keep how far it is, and see that there is room for more. Raises StoppedError and NoRoomError."""
    _tell(export, rows=rows)
    room.for_file(settings.EXPORTS_DIR)


def _give_back(export: Export) -> None:
    """Leave the rest to the next worker; give up what was begun again and again."""
    connection.close()  # It may still wait for an answer.
    if export.runs >= MOST_RUNS:
        _fail(export, Export.Problem.UNEXPECTED)
        return
    _wait(export)


def _wait(export: Export) -> None:
    """Let it wait with what it has written: the next run goes on from there."""
    with suppress(StoppedError):
        _tell(export, status=Export.Status.QUEUED, lease=None)


def _fail(export: Export, problem: str) -> None:
    with suppress(StoppedError):
        now = timezone.now()
        _tell(export, status=Export.Status.FAILED, problem=problem, finished_at=now, lease=None)
        _erase(export)


def _erase(export: Export) -> None:
    shutil.rmtree(export.folder, ignore_errors=True)


def summary(export: Export) -> str:
    """Return what the audit log says of an export."""
    shown = urlencode(list(QueryDict(export.query).items()))
    return f"{export.source} {export.format} {export.pk} ?{shown}"
