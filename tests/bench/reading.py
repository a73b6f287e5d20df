"""What a page asks of the database, ours and the peer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AIModel, ApiToken, Group, User, UserIdentity
from logs.listing import largest_records, own_records
from logs.maintenance.retention import SUMS
from logs.models import UsageRecord
from logs.rollups import everyones_sums, own_sums, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection.chosen import Selection
from logs.selection.largest import Sort
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, TimeRange
from routescope.data.scopes import Scope
from tests.bench.table import Row, Work, faster, within

FIRST, DAYS = datetime.fromtimestamp(1764547200, UTC), 90
END = FIRST + DAYS * DAY
MONTH = TimeRange(END - 30 * DAY + timedelta(minutes=17), END - timedelta(minutes=13))
HOURS = TimeRange(END - 30 * DAY, END)
A_DAY = TimeRange(END - DAY, END)
PAGE = 100
_BESIDE = ("usage_traffic_hour", "usage_traffic_slice", "usage_latency", "usage_latency_part")


def rows(count: int) -> list[Row]:
    """Measure every read of the table, for the user who made over a fifth of the ``count`` records."""
    heavy = UserIdentity.objects.get(name="user1").user
    token, model, group = _common(heavy)
    rare = rare_model(heavy)
    month = Selection(MONTH)
    found = [
        faster(
            "header, 30 days, heavy user",
            _peer_header(),
            lambda: own_sums.totals(Scope.own(heavy), month),
            200,
        ),
        faster(
            "header, 30 days, heavy user, one filter (model)",
            _peer_header(model_name=model.name),
            lambda: own_sums.totals(Scope.own(heavy), Selection(MONTH, models=(model.pk,))),
            100,
        ),
        faster(
            "header, 30 days, heavy user, two filters (token, group)",
            _peer_header(token_name=token.name, group=group.name),
            lambda: own_sums.totals(
                Scope.own(heavy), Selection(MONTH, tokens=(token.pk,), groups=(group.pk,))
            ),
            100,
        ),
        faster(
            "header, 30 days, all users",
            _peer_header(user=None),
            lambda: everyones_sums.totals(Selection(HOURS)),
            50,
        ),
        _both_in_database(
            "first page of 100, heavy user",
            _peer_page(0),
            lambda: own_records.listed(Scope.own(heavy), month, Cursor(), PAGE),
            1,
        ),
    ]
    found += [_sorted(heavy, sort, column) for sort, column in _PEER_SORTS.items()]
    found += _deep_page(heavy, count)
    found += [
        faster(
            "page of a rare model, 30 days",
            _together(_peer_count(model_name=rare.name), _peer_page(0, model_name=rare.name)),
            lambda: own_records.listed(Scope.own(heavy), Selection(MONTH, models=(rare.pk,)), Cursor(), PAGE),
            20,
        ),
        _request_id(heavy),
        in_database(
            "RPM/TPM chart and peaks, 24 hours",
            lambda: traffic.traffic(Scope.own(heavy), Selection(A_DAY), END),
            20,
        ),
        in_database(
            "RPM/TPM chart and peaks, 30 days heavy user",
            lambda: traffic.traffic(Scope.own(heavy), month, END),
            150,
        ),
        in_database(
            "breakdown by model, 30 days heavy user", lambda: breakdown(Scope.own(heavy), month, By.MODEL), 10
        ),
    ]
    return found


def disk(count: int) -> Row:
    """Compare bytes per record, indexes and rollups included."""
    peer = _size(["peer_newapi.logs"])
    ours = _size([*SUMS, "usage_pending", *_BESIDE]) + _size(
        _column("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage_record'::regclass")
    )
    return Row("disk per record", peer / count, ours / count, "bytes", "0.75x", ours <= 0.75 * peer)


def _common(user: User) -> tuple[ApiToken, AIModel, Group]:
    """Return the heavy user's busiest token with its group, and the busiest model."""
    record = UsageRecord.objects.visible_to(Scope.own(user)).within(A_DAY).first()
    if record is None or not (record.token_id and record.model_id and record.group_id):
        raise RuntimeError("The heavy user has no record in the last day: were the records stored?")
    return (
        ApiToken.objects.get(pk=record.token_id),
        AIModel.objects.get(pk=record.model_id),
        Group.objects.get(pk=record.group_id),
    )


def busiest_model() -> str:
    """Return the name of the heavy user's busiest model."""
    return _common(UserIdentity.objects.get(name="user1").user)[1].name


def rare_model(user: User) -> AIModel:
    """Return the model that a user called least often in the month."""
    rare = min(breakdown(Scope.own(user), Selection(MONTH), By.MODEL), key=lambda line: line.totals.records)
    return AIModel.objects.get(pk=str(rare.value))


def _deep_page(user: User, count: int) -> list[Row]:
    depth = min(500_000, count // 20)
    deep = (
        UsageRecord.objects.visible_to(Scope.own(user))
        .within(MONTH)
        .order_by("-id")
        .values_list("id", flat=True)
    )
    if deep[depth : depth + 1].first() is None:
        depth = 1_000
    cursor = Cursor(older=deep[depth])
    return [
        faster(
            f"page {depth:,} records down, heavy user",
            _peer_page(depth),
            lambda: own_records.listed(Scope.own(user), Selection(MONTH), cursor, PAGE),
            100,
            3,
        )
    ]


_PEER_SORTS = {
    Sort.COST: "quota",
    Sort.DURATION: "use_time",
    Sort.TOKENS: "prompt_tokens + completion_tokens",
}


def _sorted(user: User, sort: Sort, column: str) -> Row:
    where, values = _where(1, {})
    return faster(
        f"the first 50 by {sort.value}, 30 days, heavy user",
        _query(
            f"SELECT * FROM peer_newapi.logs WHERE user_id = 1 AND {where} ORDER BY {column} DESC LIMIT 50",
            values,
        ),
        lambda: largest_records.listed(Scope.own(user), Selection(MONTH), sort, Cursor(), 50),
        5,
    )


def _request_id(user: User) -> Row:
    identifier = some_id()
    return in_database(
        "request ID lookup, all time",
        lambda: list(UsageRecord.objects.visible_to(Scope.own(user)).identified_by(identifier)),
        1,
    )


def some_id() -> str:
    """Return the request ID of a record near the beginning of the data."""
    return _column(
        "SELECT request_id FROM peer_newapi.logs WHERE user_id = 1 ORDER BY id LIMIT 1 OFFSET 777"
    )[0]


def _both_in_database(work: str, peer: Work, ours: Work, times: float) -> Row:
    """Compare what PostgreSQL and the connection do for both: values are not made into Python's."""
    return faster(f"{work}, in the database", _replayed(peer), _replayed(ours), times, 25)


def _replayed(work: Work) -> Work:
    """Return what sends the same queries again, and leaves their answers unread."""
    with CaptureQueriesContext(connection) as captured:
        work()
    queries = [query["sql"] for query in captured]

    def replay() -> None:
        with connection.cursor() as cursor:
            for query in queries:
                cursor.execute(query)

    return replay


def in_database(work: str, ours: Work, most: float) -> Row:
    """Measure what the database and the connection take of a work, against a bound in milliseconds."""
    return within(f"{work}, in the database", _replayed(ours), most)


def _where(user: int | None, filters: dict[str, str]) -> tuple[str, list[Any]]:
    start, end = (int(bound.timestamp()) for bound in (MONTH.start, MONTH.end) if bound)
    conditions = ["created_at BETWEEN %s AND %s"]
    values: list[Any] = [start, end]
    for name, value in filters.items():
        conditions.append(f'"{name}" = %s')
        values.append(value)
    return " AND ".join(conditions), values


def _peer_count(user: int | None = 1, **filters: str) -> Work:
    where, values = _where(user, filters)
    mine = f"user_id = {user} AND " if user else ""
    return _query(f"SELECT count(*) FROM peer_newapi.logs WHERE {mine}{where}", values)


def _peer_header(user: int | None = 1, **filters: str) -> Work:
    where, values = _where(user, filters)
    mine = f"username = 'user{user}' AND " if user else ""
    total = _query(
        f"SELECT coalesce(sum(quota), 0) FROM peer_newapi.logs WHERE {mine}{where} AND type = 2", values
    )
    return _together(_peer_count(user, **filters), total)


def _peer_page(offset: int, **filters: str) -> Work:
    where, values = _where(1, filters)
    rows = f"SELECT * FROM peer_newapi.logs WHERE user_id = 1 AND {where}"
    return _query(f"{rows} ORDER BY id DESC LIMIT {PAGE} OFFSET {offset}", values)


def _query(sql: str, values: Sequence[Any]) -> Work:
    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            cursor.fetchall()

    return work


def _together(*works: Callable[[], object]) -> Work:
    def work() -> None:
        for each in works:
            each()

    return work


def _column(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [str(row[0]) for row in cursor.fetchall()]


def _size(tables: Sequence[str]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name",
            [list(tables)],
        )
        [size] = cursor.fetchone()
    return int(size)
