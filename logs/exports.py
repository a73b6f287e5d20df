"""Usage records as a source of exports: the rows that the page lists, and what its header says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from uuid import UUID

from django.db.models import Case, F, JSONField, When
from django.db.models.expressions import RawSQL
from django.http import QueryDict

from accounts.identities.names import names_by_id
from accounts.models import User
from logs.filters.asked import usage_filter, usage_scope
from logs.filters.usage_filter import CHART, VIEW, UsageFilter
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.marks import tags_of
from logs.models.querysets import Key, UsageRecordQuerySet
from logs.pricing.funding import funding_of
from logs.pricing.quotes import PriceBook
from logs.pricing.receipts import receipt
from logs.pricing.unpriced import items
from logs.rollups import own_sums, percentiles
from logs.rollups.sketches import Measure, Percentiles
from logs.selection import lookback
from routescope.data.keyset import Cursor
from routescope.data.scopes import Scope, Viewer
from routescope.exports.parts import PART_ROWS
from routescope.exports.sources import (
    CHUNK,
    Block,
    Column,
    ColumnKind,
    Expected,
    Figures,
    Make,
    Selected,
    Value,
    json_text,
    summed,
)
from routescope.text.formatting import plain

RECEIPT = "receipt"
_LOOKS = 25
"""Looks at the records (`logs.selection.lookback`) after which a part ends, however few rows were found: that
a worker lives is told between parts.
"""
_MARK = RawSQL("hashtextextended(usage_record.id::text || usage_record.xmin::text, 0)", [])

COLUMNS = (
    Column("created_at", ColumnKind.MOMENT),
    Column("request_id", ColumnKind.TEXT),
    Column("person", ColumnKind.TEXT, of_several=True),
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
    Column("error_message", ColumnKind.TEXT, quotes=True),
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
    Column("ip", ColumnKind.TEXT, usual=False, of_person=True),
    Column("user_agent", ColumnKind.TEXT, usual=False, of_person=True),
    Column("parameters", ColumnKind.TEXT, usual=False),
    Column("attempts", ColumnKind.TEXT, usual=False, quotes=True),
    Column("tags", ColumnKind.TEXT, usual=False, quotes=True),
    Column("metadata", ColumnKind.TEXT, usual=False, quotes=True),
    Column("unpriced", ColumnKind.TEXT, usual=False),
    Column("usage_estimated", ColumnKind.BOOLEAN, usual=False),
    Column("funding_source", ColumnKind.TEXT, usual=False),
    Column("balance_before", ColumnKind.DECIMAL, usual=False),
    Column("balance_after", ColumnKind.DECIMAL, usual=False),
    Column(RECEIPT, ColumnKind.TEXT, usual=False),
)
_UNPRICED = Case(When(cost=None, then=F("billing__unpriced")), output_field=JSONField())
"""What a record's ``unpriced`` is."""
_FUNDING: dict[str, Make] = {
    "funding_source": lambda billing: funding_of(billing).source or None,
    "balance_before": lambda billing: funding_of(billing).before,
    "balance_after": lambda billing: funding_of(billing).after,
}
"""What a record's billing says of what paid for it."""
_WORDS = {
    "type": {kind.value: kind.name.lower() for kind in RecordType},
    "status": {status.value: status.name.lower() for status in Status},
    "cause": {cause.value: cause.name.lower() for cause in Cause if cause},
}


_MEASURES = {
    Measure.DURATION: "duration_ms",
    Measure.TTFT: "ttft_ms",
    Measure.SPEED: "output_tokens_per_second",
}


class UsageSource:
    name = "usage"
    columns: Sequence[Column] = COLUMNS

    def select(self, user_id: int, query: QueryDict) -> Selected:
        return _SelectedRecords(_filters(user_id, query))

    def scope(self, user_id: int, query: QueryDict) -> Scope:
        return usage_scope(Viewer.of(User.objects.get(pk=user_id)), query)

    def fixed(self, user_id: int, query: QueryDict) -> QueryDict:
        filters = _filters(user_id, query)
        address = filters.fixed_address(filters.now).without("live", *CHART, *VIEW)
        if filters.errors_shown:
            # The view goes, what it is of stays.
            address = address.with_(status="error")
        return address.query()


def _filters(user_id: int, query: QueryDict) -> UsageFilter:
    return usage_filter(Viewer.of(User.objects.get(pk=user_id)), query)


class _SelectedRecords(Selected):
    """The records under one person's filters."""

    def __init__(self, filters: UsageFilter) -> None:
        self._scope, self._selection, self._searched_id = (
            filters.scope,
            filters.selection,
            filters.searched_id,
        )
        self._mine: UsageRecordQuerySet[UsageRecord]
        self._mine = UsageRecord.objects.visible_to(filters.scope).select_related("model")
        # Read once: joining three tables to each of a million rows would say the same.
        words = {**names_by_id(filters.whole), **_WORDS}
        hidden = [column.name for column in COLUMNS if not column.is_offered(filters.whole)]
        prices = cache(lambda: PriceBook(words["model"], words["group"]))
        super().__init__(
            self._mine.identified_by(self._searched_id)
            if self._searched_id
            else self._mine.within(self._selection.chosen),
            _MARK,
            fields={
                "token": "token_id",
                "model": "model_id",
                "group": "group_id",
                "person": "user_id",
                "unpriced": _UNPRICED,
                "tags": "metadata",
                **dict.fromkeys(_FUNDING, "billing"),
            },
            made={
                **{name: called.get for name, called in words.items()},
                **dict.fromkeys(("parameters", "attempts", "metadata"), json_text),
                **_FUNDING,
                "usage_estimated": bool,
                "id": str,
                "tags": lambda metadata: ", ".join(tags_of(metadata)) or None,
                # Which kinds of what a call used have no known price.
                "unpriced": lambda unpriced: ", ".join(items(unpriced)) or None,
            },
            of_row={RECEIPT: lambda record: _receipt(record, prices())},
            beside=words,
            hidden=hidden,
        )

    def expected(self) -> Expected:
        if self._searched_id:
            return summed(self._rows)
        selection = lookback.newest(self._scope, self._selection)
        totals = own_sums.totals(self._scope, selection)
        is_whole = selection.looked is None or selection.looked.reached is None
        return Expected(totals.records, totals.cost, is_whole)

    def counts(self) -> Iterator[Expected]:
        if self._searched_id or not self._selection.needs_records:
            yield self.expected()
            return
        for looked in lookback.steps(self._scope, self._selection, Cursor()):
            totals = own_sums.added(own_sums.of_records(self._scope, self._selection, looked))
            yield Expected(totals.records, totals.cost)

    def percentiles(self) -> Iterator[Figures | None]:
        measures = tuple(Measure)
        buckets: percentiles.Counted = Counter()
        if self._searched_id:
            buckets = percentiles.counted_of(self._rows.iterator(CHUNK), measures)
            yield _figures(percentiles.of_counted(buckets))
            return
        if not self._selection.needs_records:
            yield _figures(percentiles.overall(self._scope, self._selection, measures))
            return
        for looked in lookback.steps(self._scope, self._selection, Cursor()):
            buckets += percentiles.counted(self._scope, self._selection, looked, measures)
            yield _figures(percentiles.of_counted(buckets))

    def blocks(self, columns: Sequence[str], before: UUID | None, limit: int) -> Iterator[Block]:
        if not self._is_looked_for:
            yield from super().blocks(columns, before, limit)
            return
        for keys, reached in islice(self._looks(before, limit), _LOOKS):
            for found in self._with(keys):
                yield from self._read(found.order_by("-id"), columns)
            limit -= len(keys)
            if not limit:
                return
            yield Block(reached)

    def marks(self, before: UUID | None, last: UUID) -> tuple[int, int]:
        if not self._is_looked_for:
            return super().marks(before, last)
        return self._marked(self._down_to(before, last))

    @property
    def _is_looked_for(self) -> bool:
        """Whether the rows are not simply the next ones of the index: records are looked at, in steps."""
        return not self._searched_id and (self._selection.is_filtered or not self._scope.is_of_few)

    def _looks(self, before: UUID | None, limit: int) -> Iterator[tuple[list[Key], UUID | None]]:
        """Yield users and ids of the next ``limit`` records that meet the filters, look by look, and how far
        it was looked: None to the end.
        """
        for looked in lookback.steps(self._scope, self._selection, Cursor(older=before)):
            found = lookback.keys(self._scope, self._selection, looked, newest_first=True, limit=limit)
            yield found, looked.reached
            limit -= len(found)
            if not limit:
                return

    def _down_to(self, before: UUID | None, last: UUID) -> Iterator[UsageRecordQuerySet[UsageRecord]]:
        """Yield the records that meet the filters, from ``before`` down to ``last``."""
        for keys, reached in self._looks(before, PART_ROWS + 1):
            part = [key for key in keys if key[1] >= last]
            yield from self._with(part)
            if len(part) < len(keys) or (reached is not None and reached <= last):
                return

    def _with(self, keys: Sequence[Key]) -> Iterator[UsageRecordQuerySet[UsageRecord]]:
        for first in range(0, len(keys), CHUNK):
            yield self._mine.of_keys(keys[first : first + CHUNK])


def _figures(found: Mapping[Measure, Percentiles] | None) -> Figures | None:
    """Return percentiles by names that say their unit; None where it takes too much to read."""
    if found is None:
        return None
    figures: Figures = {}
    for measure, name in _MEASURES.items():
        one = found.get(measure)
        digits = 2 if measure is Measure.SPEED else None
        figures[name] = None
        if one is not None:
            ranks = {rank: round(getattr(one, rank), digits) for rank in ("p50", "p95", "p99")}
            figures[name] = {"calls": one.count, **ranks}
    return figures


def _receipt(record: UsageRecord, book: PriceBook) -> Value:
    return json_text(
        [
            {
                "item": line.item,
                "quantity": None if line.quantity is None else plain(line.quantity),
                "unit_price": None if line.unit_price is None else plain(line.unit_price),
                "per": line.per,
                "amount": plain(line.amount),
            }
            for line in receipt(record, book).lines
        ]
    )
