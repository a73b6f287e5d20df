"""The admin's pages as its tests open them, and what they read there."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.models import RecordType, Status
from logs.models.events import Failure
from tests.cast import event, signed_in, store

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

RECORDS = "/admin/logs/usagerecord/"
TASKS = "/admin/tasks/asynctask/"
DAY: dict[str, Any] = {"start": "2026-03-10T00:00", "end": "2026-03-11T00:00"}


@pytest.fixture
def client(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def provisioned(gateway: Gateway) -> User:
    """Somebody known from a gateway's records only."""
    store(gateway, event("agent-7"))
    return User.objects.get(name="agent-7")


@pytest.fixture
def records(gateway: Gateway, alice: User, bob: User) -> None:
    store(
        gateway,
        event(request_id="a-1", cost=Decimal("0.0100"), cached_tokens=40, upstream_request_id="up-1"),
        event(request_id="a-2", minutes=1, cost=Decimal("0.02"), model="claude", group="vip", token="test"),
        event(request_id="a-2", minutes=2, cost=Decimal("-0.005"), type=RecordType.REFUND, input_tokens=0),
        event("bob@example.com", request_id="b-1", minutes=70, model="claude", cost=Decimal(0)),
        event(
            "bob@example.com",
            request_id="b-2",
            minutes=71,
            model="in-house",
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", message="Slow <down>", code="rpm"),
            parameters={"temperature": 0.5, "stop": ["<end>"]},
            output_tokens=0,
        ),
        event(request_id="long-ago", minutes=-60 * 24 * 40),
    )


def text(response: Answer) -> str:
    return unescape(response.content.decode())


def figures(response: Answer) -> dict[str, str]:
    return dict(re.findall(r'data-stat="(\w+)" data-value="([^"]*)"', text(response)))


def listed(response: Answer) -> list[str]:
    return re.findall(r'class="mono nowrap" title="([^"]+)"', text(response))


def link(response: Answer, rel: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{rel}">', text(response))
    return found[1] if found else ""


def row_id(model: type[AIModel | Group | ApiToken], name: str) -> int:
    return model.objects.get(name=name).pk
