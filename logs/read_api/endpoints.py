"""Usage records over the read API: what the page shows, under the page's own filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import cast
from uuid import UUID

from django.http import Http404

from accounts.access.endpoint import ReadRequest, endpoint
from logs.filters.asked import usage_filter, usage_scope
from logs.filters.usage_filter import VIEW, UsageFilter
from logs.listing import largest_records, own_records
from logs.listing.own_records import Found
from logs.models import Cause, UsageRecord
from logs.read_api import bodies
from logs.read_api.bodies import (
    BreakdownBody,
    BreakdownLineBody,
    ByWord,
    RecordDetailBody,
    RecordsBody,
    SeriesBody,
    StatisticsBody,
)
from logs.read_api.latency_bodies import latency
from logs.record import details
from logs.rollups import breakdown as breakdowns
from logs.rollups import own_sums, percentiles, traffic
from logs.rollups.breakdown import BreakdownLine, By
from logs.selection import lookback
from logs.selection.largest import Sort
from routescope.data.keyset import Cursor, Page
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Viewer
from routescope.rest import kinds
from routescope.rest.answers import range_of
from routescope.rest.declared import DEFAULT_LIMIT, PAGING, WHOSE, Endpoint, Parameter, parameters_of
from routescope.rest.paging import next_url
from routescope.rest.problems import Invalid, ProblemError

FILTERS = parameters_of(
    UsageFilter,
    {
        "range": "A preset time range; `24h` if neither it nor start or end is given.",
        "start": "Records from this time on. Earlier times count as 1970.",
        "end": "Records before this time.",
        "person": "Only these people's, by id, of the rows of several.",
        "token": "Only these API tokens, by name.",
        "model": "Only these models.",
        "group": "Only these pricing groups.",
        "without": "Also those without a token, model or group; only these where none is named.",
        "status": "Only with this status.",
        "cause": "Only calls that failed for these causes.",
        "type": "Only these record types: calls, task submissions, refunds, adjustments.",
        "stream": "Only streamed calls, or only calls that were not streamed.",
        "endpoint": "Only where the endpoint contains this text.",
        "estimated": "Only calls whose tokens the gateway counted itself.",
        "session": "Only of this session.",
        "answered": "Only calls that another model answered than was asked for.",
        "tag": "Only with this tag; with each of several.",
        "tag_not": "Only without any of these tags.",
        "meta": "Only with this metadata, as `key=value`; any of several values of a key.",
        "meta_not": "Only without any of these values, as `key=value`.",
        "has": "Only with a value of this key of metadata, or with any tag: `tags`.",
        "has_not": "Only without a value of this key, or without a tag: `tags`.",
        "cost_min": "Lowest cost, in USD.",
        "cost_max": "Highest cost, in USD.",
        "duration_min": "Shortest duration, in seconds.",
        "duration_max": "Longest duration, in seconds.",
        "tokens_min": "Fewest tokens, input and output together.",
        "tokens_max": "Most tokens, input and output together.",
        "request_id": "A request ID, the provider's too, over all time: other filters do not apply.",
    },
    without=("live", *VIEW),
)
_OF_SELECTION = tuple(parameter for parameter in FILTERS if parameter.name != "request_id")
_SORT = Parameter(
    "sort",
    kinds.one_of(Sort.values),
    f"The largest first: the first {largest_records.MOST_DEEP:,} of the records that have such a value, or as"
    " many as a bounded search is certain of.",
)
_VALUE = Parameter(
    "value",
    kinds.number(),
    "With `older` or `newer` in a sorted list: the value of that record, as in `next`.",
)
_TAG = "Usage records"


@endpoint(
    Endpoint(
        "listUsage",
        "/api/v1/usage",
        "List usage records",
        "Your usage records under the given filters, newest first or sorted. Follow `next` until it is null.",
        _TAG,
        RecordsBody,
        (*FILTERS, _SORT, *PAGING, _VALUE),
        "range=7d&model=gpt-5&limit=100",
    )
)
def usage(request: ReadRequest) -> RecordsBody:
    filters = _filters(request)
    selection = filters.selection
    if filters.searched_id:
        found = own_records.of_one_id(filters.scope, filters.searched_id)
        return RecordsBody([bodies.record(row) for row in found], range_of(TimeRange()), None, None, None)
    size = int(request.query.get("limit", DEFAULT_LIMIT))
    cursor = Cursor.parse(request.query)
    page: Page[UsageRecord]
    if filters.order:
        page = largest_records.page(filters.scope, selection, filters.order, cursor, size)
    else:
        page = own_records.page(filters.scope, selection, cursor, size)
    rows = [bodies.record(row) for row in page.rows]
    onward = next_url(request.url, filters, selection.chosen, size, page.onward)
    looked = page.looked if isinstance(page, Found) else None
    return RecordsBody(
        rows, range_of(selection.chosen), page.older, page.newer, onward, bodies.looked_at(looked)
    )


@endpoint(
    Endpoint(
        "usageStatistics",
        "/api/v1/usage/statistics",
        "Sum up usage records",
        "The figures over the list: consumption, requests, tokens, success, duration, RPM and TPM.",
        _TAG,
        StatisticsBody,
        FILTERS,
        "range=30d",
    )
)
def statistics(request: ReadRequest) -> StatisticsBody:
    filters = _filters(request)
    if filters.searched_id:
        found = own_sums.Totals.of(own_records.of_one_id(filters.scope, filters.searched_id))
        return bodies.statistics(TimeRange(), found, None)
    selection = lookback.newest(filters.scope, filters.selection)
    return bodies.statistics(
        selection.chosen,
        own_sums.totals(filters.scope, selection),
        traffic.traffic(filters.scope, selection, filters.now),
        selection.looked,
        percentiles.overall(filters.scope, selection),
    )


@endpoint(
    Endpoint(
        "usageBreakdown",
        "/api/v1/usage/breakdown",
        "Break the sums down",
        "The statistics by model, token, group, day in your time zone, cause, tag or a key of metadata, the"
        " highest cost first. By tags and metadata: of the newest records, one in the line of each tag.",
        _TAG,
        BreakdownBody,
        (
            Parameter("by", kinds.one_of(By.values), "What to break down by; `model` if not given."),
            Parameter("key", kinds.text(), "The key of metadata where `by` is `meta`."),
            *_OF_SELECTION,
        ),
        "by=model&range=30d",
    )
)
def breakdown(request: ReadRequest) -> BreakdownBody:
    by = By(request.query.get("by", By.MODEL))
    filters = _compared(request, by) if by in (By.TAG, By.METADATA) else _filters(request)
    names = {
        By.MODEL: filters.vocabulary.models.of,
        By.TOKEN: filters.vocabulary.tokens.of,
        By.GROUP: filters.vocabulary.groups.of,
        By.PERSON: filters.vocabulary.people.of,
    }.get(by, {})
    selection = lookback.newest(filters.scope, filters.selection)
    merged = breakdowns.merged_into(filters.scope, by)
    found = breakdowns.breakdown(filters.scope, selection, by, filters.compared_key, merged)
    learnt = filters.vocabulary.people if by is By.PERSON else filters.vocabulary.tokens
    learnt.learn(line.value for line in found if isinstance(line.value, int))
    took = breakdowns.latencies(filters.scope, selection, by, merged=merged)
    lines = [
        BreakdownLineBody(
            _value(line.value, by, names),
            bodies.sums(line.totals),
            latency(None if took is None else took.get(line.value, {})),
        )
        for line in _in_order(found, by)
    ]
    of_newest = bodies.looked_at(selection.looked)
    return BreakdownBody(range_of(selection.chosen), cast(ByWord, by.value), lines, of_newest)


@endpoint(
    Endpoint(
        "usageSeries",
        "/api/v1/usage/series",
        "Follow usage over time",
        "The chart's figures: requests, errors and tokens by request time, with the peaks of each interval.",
        _TAG,
        SeriesBody,
        _OF_SELECTION,
        "range=24h&status=error",
    )
)
def series(request: ReadRequest) -> SeriesBody:
    filters = _filters(request)
    selection = lookback.newest(filters.scope, filters.selection)
    return bodies.series(traffic.traffic(filters.scope, selection, filters.now), selection.looked)


@endpoint(
    Endpoint(
        "getUsage",
        "/api/v1/usage/{id}",
        "Show one usage record",
        "A record with its parameters, attempts, verdict and receipt. 404 if there is none of yours.",
        _TAG,
        RecordDetailBody,
        (Parameter("id", kinds.uuid(), "The record's `id`.", is_path=True), WHOSE),
        can_miss=True,
    )
)
def record(request: ReadRequest, record_id: str) -> RecordDetailBody:
    try:
        return bodies.detail(
            *details.of_one(usage_scope(Viewer.of(request.user), request.query), UUID(record_id))
        )
    except (ValueError, Http404):
        raise ProblemError(404, "You have no usage record with this id.") from None


def _filters(request: ReadRequest) -> UsageFilter:
    """Return the filters. Raises ProblemError for what would be left out of account."""
    return _heeded(usage_filter(Viewer.of(request.user), request.query))


def _heeded(filters: UsageFilter) -> UsageFilter:
    if filters.withheld or filters.unreadable:
        errors = [Invalid(name, fault) for name, fault in filters.unreadable.items()]
        raise ProblemError(400, " ".join(filters.withheld) or "Correct what is listed in errors.", errors)
    return filters


def _compared(request: ReadRequest, by: By) -> UsageFilter:
    """Return the filters, with what only records can be broken down by. Raises ProblemError."""
    query = request.query.copy()
    query["compare"] = by.value
    # No metadata has such a key: without one, all records are without it.
    query["key"] = query.get("key", "").strip() or "="
    filters = _heeded(usage_filter(Viewer.of(request.user), query))
    if not filters.takes_marks:
        raise ProblemError(400, "Tags and metadata are not shown to leads.")
    return filters


def _in_order(lines: list[BreakdownLine], by: By) -> list[BreakdownLine]:
    if by is By.DAY:
        return sorted(lines, key=lambda line: str(line.value), reverse=True)
    return sorted(lines, key=lambda line: (-line.totals.cost, str(line.value)))


def _value(value: int | date | str, by: By, names: Mapping[int, str]) -> str | None:
    if isinstance(value, date):
        return value.isoformat()
    if by is By.CAUSE:
        return Cause(value).name.lower() if value else None
    if isinstance(value, str):
        return value
    return names.get(value)
