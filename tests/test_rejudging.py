"""After a change of rules, stored failures are judged anew and the sums by cause follow exactly."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum

from accounts.models import Gateway, User
from logs.ingest import batches
from logs.maintenance.rejudging import rejudge
from logs.models import Cause, Status, UsageHour, UsageRecord, UsageTotalDay
from logs.models.events import Failure
from tests.cast import NOON, event, store
from tests.sums import check_rollups


def _failed(**fields: Any) -> Any:
    return event(status=Status.ERROR, **fields)


def test_judging_anew_moves_records_and_sums_to_the_right_cause(
    alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an earlier version of the rules would have judged.
    monkeypatch.setattr(batches, "judge", lambda event: Cause.RATE_LIMIT if event.error else Cause.NONE)
    broke = Failure(code="insufficient_quota")
    store(
        gateway,
        _failed(error=broke, http_status=429, cost=Decimal("0.5")),
        _failed(model="m", error=broke, http_status=429, minutes=90, token="other"),
        _failed(model="m", error=Failure(code="rate_limit_exceeded"), http_status=429, minutes=2),
        event(cost=Decimal(1)),
    )
    check_rollups()

    assert rejudge() == 2

    assert UsageRecord.objects.filter(cause=Cause.BALANCE).count() == 2
    check_rollups()
    # A sum that nothing is left of is gone: the rollups are the index of where a value occurs.
    assert not UsageHour.objects.filter(records=0).exists()
    assert UsageTotalDay.objects.aggregate(cost=Sum("cost"))["cost"] == Decimal("1.5")
    assert rejudge() == 0


@pytest.mark.django_db(transaction=True)
def test_the_job_can_start_at_a_time(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    store(gateway, _failed(http_status=429), _failed(http_status=429, minutes=600))
    UsageRecord.objects.update(cause=Cause.UNKNOWN)
    assert rejudge(NOON + timedelta(hours=5)) == 1
    call_command("rejudge")
    assert "1 records" in capsys.readouterr().out
    assert set(UsageRecord.objects.values_list("cause", flat=True)) == {Cause.RATE_LIMIT}
