"""Somebody with records worth exporting, and their exports."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.http import QueryDict

from accounts.exports import exporting, jobs
from accounts.models import Export, Gateway, User
from logs.exports import COLUMNS
from routescope.exports import parts
from tests.cast import event, store
from tests.test_agreement import _random_event

ALL = [column.name for column in COLUMNS if column.name != "receipt" and not column.of_several]
ZONE = "Asia/Kolkata"
PAID = {
    "funding_source": "wallet",
    "balance_before": "999999999999.999999999999",
    "balance_after": "-0.000000000001",
}


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    settings.EXPORTS_DIR = tmp_path
    monkeypatch.setattr(parts, "PART_ROWS", 40)
    monkeypatch.setattr(jobs, "hand_over", lambda pk: True)
    yield tmp_path


@pytest.fixture
def many(alice: User, gateway: Gateway) -> User:
    """Alice in another time zone, with records of every kind and texts that spreadsheets would run."""
    User.objects.filter(pk=alice.pk).update(time_zone=ZONE)
    random = Random(5)
    nasty = [
        "=1+1",
        "+x",
        "-x",
        "@SUM(A1)",
        "\t=x",
        ' "quoted", \n',
        "_x0041_",
        "模型",
        "  =cmd|' /C c'!A0",
    ]
    store(
        gateway,
        *(_random_event(random, "alice@example.com") for _ in range(190)),
        *(event(endpoint=text, user_agent=text, minutes=n) for n, text in enumerate(nasty)),
        event(
            minutes=77,
            cost=Decimal("123456789012.123456789012"),
            parameters={"temperature": 1},
            usage_estimated=True,
            billing=dict(PAID),
        ),
        event("bob@example.com", request_id="bobs"),
        ties=True,
    )
    return User.objects.get(pk=alice.pk)


def made(user: User, form: str = "csv", query: str = "range=all", **more: Any) -> Export:
    columns = more.pop("columns", ALL)
    export = exporting.ask(user, "usage", form, columns, QueryDict(query), gzipped=more.pop("gzipped", False))
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE, export.problem
    return export
