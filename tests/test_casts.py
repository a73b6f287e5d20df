"""What the casts promise to every test: rows in the order in which they were made, on any machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Gateway, User
from logs.models import UsageRecord
from tasks.models import AsyncTask
from tests.cast import NOON, event, just_now, store
from tests.ports import reserved
from tests.task_cast import a_task


def test_records_and_tasks_made_at_once_are_listed_in_the_order_they_were_made(
    alice: User, gateway: Gateway
) -> None:
    sent = [event(request_id=f"r{number}") for number in range(40)]
    sent += [event(request_id=f"s{number}", created_at=just_now()) for number in range(40)]
    store(gateway, *sent[::-1])
    listed = UsageRecord.objects.order_by("id").values_list("request_id", flat=True)
    assert list(listed) == [one.request_id for one in sent]
    made = [a_task(alice, gateway).pk for _ in range(40)]
    assert list(AsyncTask.objects.order_by("id").values_list("id", flat=True)) == made


def test_the_first_record_of_a_minute_is_of_its_first_instant() -> None:
    assert [event(minutes=7).created_at for _ in range(2)] == [
        NOON + timedelta(minutes=7),
        NOON + timedelta(minutes=7, milliseconds=1),
    ]


def test_two_rows_of_one_millisecond_are_refused_unless_that_is_meant(alice: User, gateway: Gateway) -> None:
    first = event(created_at=NOON)
    second = event(created_at=NOON + timedelta(microseconds=999))
    store(gateway, first)
    store(gateway, first)
    with pytest.raises(AssertionError, match="of one millisecond"):
        store(gateway, second)
    assert store(gateway, second, ties=True).accepted == 1
    task = a_task(alice, gateway)
    with pytest.raises(AssertionError, match="of one millisecond"):
        a_task(alice, gateway, submitted_at=task.submitted_at)


def test_a_port_is_one_tests_at_a_time() -> None:
    with reserved() as first, reserved() as second:
        assert first != second
