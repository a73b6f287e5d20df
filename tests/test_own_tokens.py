"""The API tokens page: one's own tokens with limits, last use and spend, and nobody else's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from time_machine import TimeMachineFixture

from accounts.models import ApiToken, Gateway, User
from routescope.web import notices
from tests.cast import event, signed_in, store


def test_a_token_shows_its_limits_last_use_and_spend(
    alice: User,
    gateway: Gateway,
    django_assert_max_num_queries: Any,
    time_machine: TimeMachineFixture,
) -> None:
    # In the middle of a month: two hours ago belong to it.
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    time_machine.move_to(now, tick=False)
    alice_client = signed_in(alice)
    store(
        gateway,
        event(cost=Decimal("1.25"), created_at=now - timedelta(hours=2)),
        event(cost=Decimal("0.5"), created_at=now - timedelta(days=60)),
        event(cost=Decimal(9), created_at=now, token=""),
    )
    ApiToken.objects.update(masked_key="sk-a…9f", rpm_limit=60)
    ApiToken.objects.create(owner=alice, name="unused", status=ApiToken.Status.DISABLED)
    notices.current()  # Which one page in two seconds asks.
    with django_assert_max_num_queries(16):
        page = alice_client.get("/tokens/").content.decode()
    assert re.findall(r'data-value="([^"]*)"', page) == ["1.25", "1.75", "0", "0"]
    assert "sk-a…9f" in page
    assert 'href="/records/usage/limits/?token=prod"' in page
    assert 'href="/records/usage/?token=prod&amp;range=all"' in page
    assert "never" in page
    assert 'href="/tokens/" aria-current="page"' in page


def test_another_persons_tokens_are_not_shown(alice: User, bob: User, gateway: Gateway) -> None:
    store(gateway, event(token="alices-own"))
    assert "alices-own" not in signed_in(bob).get("/tokens/").content.decode()
