"""Usage records as a source of exports: the rows that the page lists, and what its header says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from accounts.identities.names import CALLED
from accounts.models import AIModel, ApiToken, Group, User
from logs.filters.usage_filter import VIEW, UsageFilter
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.querysets import UsageRecordQuerySet
from logs.pricing.unpriced import items
from logs.record import details
from logs.record.details import Details
from logs.rollups import own_sums
from logs.selection import lookback
from logs.selection.chosen import Looked
from routescope.data.keyset import Cursor
from routescope.exports.parts import PART_ROWS
from routescope.exports.sources import Column, ColumnKind, Expected, Row, Value, fix_range
from routescope.text.formatting import plain

RECEIPT = "receipt"
_CHUNK = 2_000
_WITH_RECEIPTS = 500
_LOOKS = 25
"""Looks at the records (`logs.selection.lookback`) after which a part ends, however few rows were found: that
a worker lives is told between parts.
"""

COLUMNS = (
    Column("created_at", ColumnKind.MOMENT),
    Column("request_id", ColumnKind.TEXT),
    Column("type", ColumnKind.TEXT),
    Column("status", ColumnKind.TEXT),
    Column("cause", ColumnKind.TEXT),
    Column("token", ColumnKind.TEXT),
    Column("model", ColumnKind.TEXT),
    Column("group", ColumnKind.TEXT),
    Column("input_tokens", ColumnKind.INTEGER),
    Column("output_tokens", ColumnKind.INTEGER),
    Column("cached_tokens", ColumnKind.INTEGER),
    Column("cost", ColumnKind.DECIMAL),
    Column("duration_ms", ColumnKind.INTEGER),
    Column("ttft_ms", ColumnKind.INTEGER),
    Column("http_status", ColumnKind.INTEGER),
    Column("stream", ColumnKind.BOOLEAN),
    Column("endpoint", ColumnKind.TEXT),
    Column("error_type", ColumnKind.TEXT),
    Column("error_code", ColumnKind.TEXT),
    Column("error_message", ColumnKind.TEXT),
    Column("error_param", ColumnKind.TEXT),
    Column("upstream_request_id", ColumnKind.TEXT),
    Column("task_id", ColumnKind.TEXT),
    Column("provider", ColumnKind.TEXT),
    Column("channel", ColumnKind.TEXT),
    Column("cache_write_tokens", ColumnKind.INTEGER, usual=False),
    Column("reasoning_tokens", ColumnKind.INTEGER, usual=False),
    Column("audio_input_tokens", ColumnKind.INTEGER, usual=False),
    Column("audio_output_tokens", ColumnKind.INTEGER, usual=False),
    Column("image_count", ColumnKind.INTEGER, usual=False),
    Column("id", ColumnKind.TEXT, usual=False),
    Column("ip", ColumnKind.TEXT, usual=False),
    Column("user_agent", ColumnKind.TEXT, usual=False),
    Column("parameters", ColumnKind.TEXT, usual=False),
    Column("attempts", ColumnKind.TEXT, usual=False),
    Column("metadata", ColumnKind.TEXT, usual=False),
    Column("unpriced", ColumnKind.TEXT, usual=False),
    Column(RECEIPT, ColumnKind.TEXT, usual=False),
)
_TYPES = {kind.value: kind.name.lower() for kind in RecordType}
_STATUSES = {status.value: status.name.lower() for status in Status}
_CAUSES = {cause.value: cause.name.lower() for cause in Cause if cause}
_FIELDS = {"token": "token_id", "model": "model_id", "group": "group_id"}
_READ = {**_FIELDS, "unpriced": "billing__unpriced"}
"""Columns that are read from a field of another name: as an attribute, and in a query."""


class UsageSource:
    name = "usage"
    columns: Sequence[Column] = COLUMNS

    def select(self, user_id: int, query: QueryDict) -> UsageSelected:
        return UsageSelected(UsageFilter(query, user=User.objects.get(pk=user_id)))

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        filters = UsageFilter(query, user=User.objects.get(pk=user_id))
        fixed = filters.address.without("live", *VIEW).query()
        chosen = filters.selection.chosen
        fix_range(fixed, chosen)
        return fixed


class UsageSelected:
    """The records under one person's filters."""

    def __init__(self, filters: UsageFilter) -> None:
        self._filters = filters
        user = filters.user
        mine = UsageRecord.objects.visible_to(user)
        self._selection = filters.selection
        self._records: UsageRecordQuerySet[UsageRecord] = (
            mine.identified_by(filters.searched_id)
            if filters.searched_id
            else mine.within(self._selection.chosen)
        )
        # Read once: joining three tables to each of a million rows would say the same.
        self._words: dict[str, dict[Any, str]] = {
            "token": dict(ApiToken.objects.filter(owner__in=user.ids).values_list("id", CALLED)),
            "model": dict(AIModel.objects.values_list("id", "name")),
            "group": dict(Group.objects.values_list("id", CALLED)),
            "type": _TYPES,
            "status": _STATUSES,
            "cause": _CAUSES,
        }
        names = json.dumps({name: sorted(words.items()) for name, words in self._words.items()})
        self._names = blake2b(names.encode(), digest_size=8).hexdigest()

    def expected(self) -> Expected:
        if self._filters.searched_id:
            totals = own_sums.Totals.of(self._records.iterator(_CHUNK))
            return Expected(totals.records, totals.cost)
        selection = lookback.newest(self._filters.user, self._selection)
        totals = own_sums.totals(self._filters.user, selection)
        is_whole = selection.looked is None or selection.looked.reached is None
        return Expected(totals.records, totals.cost, is_whole)

    def counts(self) -> Iterator[Expected]:
        if self._filters.searched_id or not self._selection.bounds:
            yield self.expected()
            return
        user, selection = self._filters.user, self._selection
        for looked in lookback.steps(user, selection, Cursor()):
            totals = own_sums.added(own_sums.of_records(user, selection, looked))
            yield Expected(totals.records, totals.cost)

    def until(self, before: UUID | None) -> UUID | None:
        return [looked.reached for looked in self._looks(before)][-1] if self._is_looked_for else None

    @property
    def _is_looked_for(self) -> bool:
        """Whether the rows are not simply the next ones of the index: records are looked at, in steps."""
        return not self._filters.searched_id and self._selection.is_filtered

    def _looks(self, before: UUID | None) -> Iterator[Looked]:
        """Yield where one part's rows are looked for."""
        return islice(lookback.steps(self._filters.user, self._selection, Cursor(older=before)), _LOOKS)

    def rows(self, columns: Sequence[str], before: UUID | None, limit: int) -> Iterator[Row]:
        if not self._is_looked_for:
            yield from self._read(self._records.newest(Cursor(older=before), limit), columns)
            return
        for ids in self._looked_for(before, limit):
            for first in range(0, len(ids), _CHUNK):
                yield from self._read(self._with_ids(ids[first : first + _CHUNK]).order_by("-id"), columns)

    def _with_ids(self, ids: Sequence[UUID]) -> UsageRecordQuerySet[UsageRecord]:
        # Within their range too: other partitions are then not even thought of.
        mine: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(self._filters.user)
        return mine.filter(id__in=ids, id__gte=ids[-1], id__lte=ids[0])

    def _looked_for(self, before: UUID | None, limit: int) -> Iterator[list[UUID]]:
        """Yield the ids of the next ``limit`` records that meet the filters, look by look."""
        user, selection = self._filters.user, self._selection
        for looked in self._looks(before):
            found = lookback.ids(user, selection, looked, newest_first=True, limit=limit)
            yield found
            limit -= len(found)
            if not limit:
                return

    def _read(self, found: UsageRecordQuerySet[UsageRecord], columns: Sequence[str]) -> Iterator[Row]:
        readers = [self._reader(name) for name in columns]
        if RECEIPT in columns:
            yield from self._with_receipts(found, columns, readers)
            return
        fields = [_READ.get(name, name) for name in columns]
        for identifier, cost, *values in found.values_list("id", "cost", *fields).iterator(_CHUNK):
            yield (
                identifier,
                cost,
                tuple(read(value) for read, value in zip(readers, values, strict=True)),
            )

    def fingerprint(self, before: UUID | None, last: UUID) -> str:
        # A row that is written anew has another xmin: nothing that changes a row escapes it.
        mark = RawSQL("hashtextextended(usage_record.id::text || usage_record.xmin::text, 0)::numeric", [])
        looks: Iterable[UsageRecordQuerySet[UsageRecord]] = [self._older(before).filter(id__gte=last)]
        if self._is_looked_for:
            looks = map(self._with_ids, self._down_to(before, last))
        rows, marks = 0, Decimal(0)
        for marked in looks:
            sums = marked.order_by().annotate(mark=mark).aggregate(rows=Count("*"), marks=Sum("mark"))
            rows += sums["rows"]
            marks += sums["marks"] or 0
        return f"{rows}:{marks}:{self._names}"

    def _down_to(self, before: UUID | None, last: UUID) -> Iterator[list[UUID]]:
        """Yield the ids of the records from ``before`` down to ``last``, by chunks."""
        for ids in self._looked_for(before, PART_ROWS + 1):
            part = [identifier for identifier in ids if identifier >= last]
            for first in range(0, len(part), _CHUNK):
                yield part[first : first + _CHUNK]
            if len(part) < len(ids) or (part and part[-1] == last):
                return

    def _older(self, before: UUID | None) -> UsageRecordQuerySet[UsageRecord]:
        return self._records if before is None else self._records.filter(id__lt=before)

    def _with_receipts(
        self,
        found: UsageRecordQuerySet[UsageRecord],
        columns: Sequence[str],
        readers: Sequence[Callable[[Any], Value]],
    ) -> Iterator[Row]:
        records = iter(found.select_related("model", *details.CALLED).iterator(_WITH_RECEIPTS))
        while chunk := list(islice(records, _WITH_RECEIPTS)):
            shown = details.of(self._filters.user, chunk)
            for record in chunk:
                values = tuple(
                    _receipt(shown[record.id])
                    if name == RECEIPT
                    else read(getattr(record, _FIELDS.get(name, name)))
                    for name, read in zip(columns, readers, strict=True)
                )
                yield record.id, record.cost, values

    def _reader(self, name: str) -> Callable[[Any], Value]:
        if words := self._words.get(name):
            return words.get
        if name in ("parameters", "attempts", "metadata"):
            return _json
        if name == "unpriced":
            return _kinds
        return _text if name == "id" else _same


def _same(value: Value) -> Value:
    return value


def _text(value: Value) -> Value:
    return str(value)


def _kinds(unpriced: Any) -> Value:
    """Write which kinds of what a call used have no known price."""
    return ", ".join(items(unpriced)) or None


def _json(value: Any) -> Value:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _receipt(shown: Details) -> Value:
    lines = [
        {
            "item": line.item,
            "quantity": None if line.quantity is None else plain(line.quantity),
            "unit_price": None if line.unit_price is None else plain(line.unit_price),
            "per": line.per,
            "amount": plain(line.amount),
        }
        for line in shown.receipt.lines
    ]
    return json.dumps(lines, separators=(",", ":"))
