"""Locks that somebody holds, and what may not wait for them: partitions, names, spans, sums."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from time import monotonic
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from accounts.models import Delivery, Gateway, IngestKey, User
from logs.content import contents
from logs.content.contents import Captured
from logs.maintenance import retention
from logs.models import Level, UsageContent, UsagePending, UsageRecord
from logs.rollups import pending
from routescope.data import apart, limits, partitions
from routescope.data.ids import derived_id
from routescope.data.limits import WorkLimits, limited
from routescope.data.partitions import Day, Month
from tests.cast import NOON, event, store
from tests.locking import held
from tests.sums import check_rollups

pytestmark = pytest.mark.django_db(transaction=True)

FEBRUARY = datetime(2025, 2, 10, 12, tzinfo=UTC)
_minutes = count()


def february() -> datetime:
    """A time of that month, another one each time."""
    return FEBRUARY + timedelta(minutes=next(_minutes))


QUICK = WorkLimits(timedelta(seconds=5), timedelta(milliseconds=100), timedelta(seconds=10))


@pytest.fixture(autouse=True)
def _nothing_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_put_off", {})
    monkeypatch.setattr(partitions, "_PAUSE", 0.0)


def run(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


def rows_of(table: str) -> int:
    [count] = run(f"SELECT count(*) FROM {table}")
    return int(count)


@pytest.fixture
def no_february() -> None:
    """The month has no partition, whatever earlier tests left."""
    run("DROP TABLE IF EXISTS usage_record_2025_02")


# --- Partitions --------------------------------------------------------------------------------------------


def test_a_record_of_a_new_month_does_not_wait_for_a_dump(gateway: Gateway, no_february: None) -> None:
    with held("SELECT * FROM usage_record"):  # Of every partition, the default one too, as pg_dump does.
        started = monotonic()
        assert store(gateway, event(created_at=february())).accepted == 1
        assert store(gateway, event(created_at=february())).accepted == 1
        assert monotonic() - started < 5
        assert UsageRecord.objects.count() == 2
        assert rows_of("usage_record_default") == 2
        assert partitions.complete("usage_record", [], Month) == ([], ["usage_record_2025_02"])
    check_rollups()
    assert partitions.complete("usage_record", [], Month) == (["usage_record_2025_02"], [])
    assert (rows_of("usage_record_default"), rows_of("usage_record_2025_02")) == (0, 2)
    assert store(gateway, event(created_at=february())).accepted == 1
    assert rows_of("usage_record_2025_02") == 3
    check_rollups()


def test_whoever_comes_meanwhile_waits_but_a_moment(gateway: Gateway, no_february: None, alice: User) -> None:
    store(gateway, event())

    def ingest_of_february() -> None:
        try:
            store(gateway, event(created_at=february()))
        finally:
            connection.close()

    with held("SELECT * FROM usage_record"), ThreadPoolExecutor(1) as beside:
        storing = beside.submit(ingest_of_february)
        while not storing.done():
            # Everything, the default partition too: as a reader behind an ATTACH that waits would be.
            with limited(WorkLimits(timedelta(seconds=9), timedelta(seconds=3), timedelta(seconds=9))):
                assert rows_of("usage_record") >= 1
        storing.result()
    assert rows_of("usage_record") == 2


def test_a_partition_that_could_not_be_made_is_not_tried_with_every_batch(
    gateway: Gateway, no_february: None
) -> None:
    tries: list[str] = []
    create = partitions._create

    def counted(table: str, name: str, *arguments: Any, **options: Any) -> bool:
        tries.append(name)
        return create(table, name, *arguments, **options)

    with (
        held("LOCK TABLE usage_record_default IN ACCESS SHARE MODE"),
        patch.object(partitions, "_create", counted),
    ):
        for _ in range(5):
            store(gateway, event(created_at=february()))
    assert tries == ["usage_record_2025_02"]


def test_many_strays_are_left_to_the_job(
    gateway: Gateway, no_february: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_MOST_STRAYS_BESIDE", 2)
    with held("LOCK TABLE usage_record_default IN ACCESS SHARE MODE"):
        store(gateway, *(event(created_at=february()) for _ in range(3)))
    partitions._put_off.clear()
    store(gateway, event(created_at=february()))
    assert rows_of("usage_record_default") == 4
    report = retention.make_partitions(FEBRUARY)
    assert "usage_record_2025_02" in report.created
    assert rows_of("usage_record_default") == 0
    assert UsageRecord.objects.count() == 4


def test_content_of_a_new_day_does_not_wait_for_a_dump(gateway: Gateway) -> None:
    now = datetime.now(UTC)
    day = Day.of(now).plus(-20)
    run(f"DROP TABLE IF EXISTS {partitions.partition_name('usage_content', day)}")
    captured = Captured(derived_id(day.start, "one"), 1, Level.FULL, b'{"input":"text"}', 6, None, False)
    with held("SELECT * FROM usage_content"):
        contents.store([captured])
        assert UsageContent.objects.count() == 1
    made, waiting = partitions.complete("usage_content", [], Day)
    assert (made, waiting) == ([partitions.partition_name("usage_content", day)], [])
    assert rows_of("usage_content_default") == 0


def test_its_indexes_are_the_tables_own_and_no_more(gateway: Gateway, no_february: None) -> None:
    store(gateway, event(created_at=february()), event())
    counts = [
        run(f"SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass")
        for table in ("usage_record", "usage_record_2025_02")
    ]
    assert counts[0] == counts[1]
    [unattached] = run(
        "SELECT count(*) FROM pg_index LEFT JOIN pg_inherits ON inhrelid = indexrelid"
        " WHERE indrelid = 'usage_record_2025_02'::regclass AND inhrelid IS NULL"
    )
    assert unattached == 0


def test_dropping_a_month_that_is_read_is_left_for_the_next_run(gateway: Gateway, no_february: None) -> None:
    store(gateway, event(created_at=february()))
    [old] = [one for one in partitions.existing("usage_record") if one.name.endswith("2025_02")]
    quick = WorkLimits(timedelta(seconds=2), timedelta(milliseconds=50), timedelta(seconds=2))
    with held("SELECT * FROM usage_record"), patch.object(partitions, "_DROP", quick):
        started = monotonic()
        with pytest.raises(OperationalError):
            partitions.drop("usage_record", old, lambda: None)
        assert monotonic() - started < 5
    partitions.drop("usage_record", old, lambda: None)
    assert UsageRecord.objects.count() == 0


# --- Names -------------------------------------------------------------------------------------------------


def test_a_long_transaction_holds_no_persons_row(gateway: Gateway, alice: User) -> None:
    """Names that it brings are made before it: a profile is saved while it goes on."""
    quick = WorkLimits(timedelta(seconds=2), timedelta(milliseconds=200), timedelta(seconds=9))
    saved: list[int] = []

    def save_profile() -> None:
        try:
            with limited(quick):
                saved.append(User.objects.filter(pk=alice.pk).update(name="Alice the Second"))
        finally:
            connection.close()

    def work() -> int:
        accepted = store(gateway, event(token="never seen before", model="new", group="new")).accepted
        with ThreadPoolExecutor(1) as beside:
            beside.submit(save_profile).result()
        return accepted

    assert apart.together(work) == 1
    assert saved == [1]
    assert UsageRecord.objects.count() == 1


def test_names_of_a_slice_that_failed_stay_and_its_records_do_not(gateway: Gateway) -> None:
    def work() -> None:
        store(gateway, event(user="new@example.com"))
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            apart.together(work)
    assert User.objects.filter(email="new@example.com").count() == 1
    assert UsageRecord.objects.count() == 0


def test_inside_of_another_transaction_everything_is_made_there(gateway: Gateway) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        apart.together(lambda: store(gateway, event(user="new@example.com")))
        raise ZeroDivisionError
    assert not User.objects.filter(email="new@example.com").exists()


# --- Spans of one gateway ----------------------------------------------------------------------------------


def test_spans_wait_for_others_of_their_gateway_no_longer_than_for_any_lock(gateway: Gateway) -> None:
    other = Gateway.objects.create(name="other")
    client = Client(headers={"Authorization": f"Bearer {IngestKey.issue(gateway)[1]}"})
    neighbour = Client(headers={"Authorization": f"Bearer {IngestKey.issue(other)[1]}"})
    body: dict[str, list[object]] = {"resourceSpans": []}
    lock = f"SELECT pg_advisory_xact_lock(hashtext('spans'), {gateway.pk})"
    with held(lock), patch.object(limits, "INGEST", QUICK):
        started = monotonic()
        answer = client.post("/v1/traces", body, content_type="application/json")
        assert monotonic() - started < 5
        assert neighbour.post("/v1/traces", body, content_type="application/json").status_code == 200
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert client.post("/v1/traces", body, content_type="application/json").status_code == 200


# --- Sums and counts beside a batch ------------------------------------------------------------------------


def test_the_batch_that_crosses_the_mark_folds_a_bounded_share(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending._appended, "rows", 0)
    store(gateway, *(event(minutes=60 * n, cost=Decimal(1)) for n in range(40)))
    monkeypatch.setattr(pending, "FOLD_AT", 5)
    monkeypatch.setattr(pending, "FOLD_BESIDE", 10)
    assert UsagePending.objects.count() == 40
    with patch.object(pending, "fold", side_effect=AssertionError("no batch folds everything")):
        store(gateway, event(minutes=60 * 50, cost=Decimal(1)))
    assert UsagePending.objects.count() == 31
    for n in range(60, 100):
        store(gateway, event(minutes=60 * n))
    assert UsagePending.objects.count() < 10, "what waits shrinks with every batch that folds"
    check_rollups()


def test_a_batch_does_not_wait_for_the_sums_or_the_counts_of_deliveries(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pending, "FOLD_AT", 1)
    key = IngestKey.issue(gateway)[1]
    client = Client(headers={"Authorization": f"Bearer {key}"})
    record = {
        "request_id": "req_1",
        "created_at": NOON.isoformat(),
        "user": "alice@example.com",
        "model": "m",
    }
    with held("LOCK TABLE usage_day_folded, accounts_delivery"), patch.object(limits, "INGEST", QUICK):
        started = monotonic()
        answer = client.post("/api/v1/usage", record, content_type="application/json")
        assert monotonic() - started < 5
    assert (answer.status_code, UsageRecord.objects.count()) == (200, 1)
    assert "Traceback" not in caplog.text
    assert Delivery.objects.count() == 0
    check_rollups()
