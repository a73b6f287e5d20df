"""Telling anew of stored calls whether another model answered, once a name stands for something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from psycopg.types.json import Jsonb

from accounts.models import AIModel
from logs.ingest import answering
from logs.maintenance.amend import CHUNK, hours_with, records_of
from logs.models import CALLS, Deployment, Status, UsageMark, UsageRecord, marks, offered
from logs.models.deployments import key_of, stands_for
from logs.models.events import JSONObject
from logs.models.marks import ANSWERED_BY, OTHER_MODEL, digest_of
from logs.models.offered import EVERYONE
from routescope.data import partitions, room
from routescope.data.partitions import Month

_MARK = digest_of(OTHER_MODEL)
_UPDATE = (
    "UPDATE usage_record AS kept SET metadata = new.metadata"
    " FROM unnest(%s::integer[], %s::uuid[], %s::jsonb[]) AS new (user_id, id, metadata)"
    # The bounds let other partitions be left alone.
    " WHERE kept.user_id = new.user_id AND kept.id = new.id AND kept.id >= %s AND kept.id <= %s"
)


def retell(names: Iterable[str] | None = None) -> int:
    """Tell anew of calls that name one of these deployments (by default any that is known).

    1. Of those of which another model is said to have answered.
    2. Of those of a model that is called so. Where a gateway keeps what was asked for beside the answering
       model's name, past calls that were not told before stay as they are: no index leads to them.

    Returns how many changed. May be broken off and run again: what is right stays.
    """
    keys = {
        key_of(name)
        for name in (Deployment.objects.values_list("name", flat=True) if names is None else names)
    }
    return sum(_retell(chunk, keys) for chunk in _flagged()) + sum(
        _retell(chunk, keys) for chunk in _called(keys)
    )


def _flagged() -> Iterator[list[UUID]]:
    """Yield the ids of the calls that another model is said to have answered, oldest first."""
    last = UUID(int=0)
    while ids := list(
        UsageMark.objects.filter(digest=_MARK, id__gt=last)
        .order_by("id")
        .values_list("id", flat=True)[:CHUNK]
    ):
        yield ids
        last = ids[-1]


def _called(keys: set[str]) -> Iterator[list[UUID]]:
    """Yield the ids of the calls of models that are called so, an hour after the other."""
    models = [
        pk for pk, name in AIModel.objects.order_by("pk").values_list("pk", "name") if key_of(name) in keys
    ]
    if not models:
        return
    theirs = CALLS & Q(model_id__in=models, status=Status.SUCCESS)
    for hour in hours_with(theirs):
        for records in records_of(hour, theirs):
            yield [record.pk for record in records if record.metadata]


def _retell(ids: Sequence[UUID], keys: set[str]) -> int:
    """Tell anew of some records, while nobody else completes them. Raises NoRoomError."""
    if not ids:
        return 0
    with room.for_records(), transaction.atomic():
        held = UsageRecord.objects.filter(CALLS, id__gte=min(ids), id__lte=max(ids), id__in=ids)
        found = held.select_related("model").order_by("user_id", "id").select_for_update(of=("self",))
        changed: list[tuple[UsageRecord, JSONObject]] = []
        records = [record for record in found if record.metadata and record.status == Status.SUCCESS]
        pairs = {record.pk: answering.pair_of(_model(record), record.metadata or {}) for record in records}
        behind = stands_for({name for pair in pairs.values() if pair for name in pair})
        for record in records:
            pair = pairs[record.pk]
            if pair and keys & {key_of(pair.asked), key_of(pair.answered)}:
                told = answering.told(record.metadata or {}, pair, behind)
                if told != record.metadata:
                    changed.append((record, told))
        if changed:
            _write(changed)
    return len(changed)


def _write(changed: Sequence[tuple[UsageRecord, JSONObject]]) -> None:
    """Write the metadata of records, and what they are found by."""
    ids = [record.pk for record, _told in changed]
    now_other = [record for record, told in changed if ANSWERED_BY in told]
    if now_other:
        partitions.ensure(marks.TABLE, {Month.of(record.created_at) for record in now_other})
        days = [
            (owner, record.created_at.astimezone(UTC).date())
            for record in now_other
            for owner in (record.user_id, EVERYONE)
        ]
        offered.keep({(owner, OTHER_MODEL, ""): day for owner, day in sorted(days)})
    with connection.cursor() as cursor:
        values: list[Any] = [Jsonb(told) if told else None for _record, told in changed]
        cursor.execute(
            _UPDATE, [[record.user_id for record, _told in changed], ids, values, min(ids), max(ids)]
        )
    marks.delete((_MARK, record.user_id, record.pk) for record, told in changed if ANSWERED_BY not in told)
    marks.add((_MARK, record.user_id, record.pk) for record in now_other)


def _model(record: UsageRecord) -> str:
    model: Any = record.model
    return str(model.name) if model else ""
