"""Who is merged in the tests: Alice, and a team that a gateway knows by a name of its own."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from accounts.models import Gateway, User, UserIdentity
from logs.models import RecordType
from logs.models.events import UsageEvent
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

WEEKS = Selection(TimeRange(NOON - timedelta(days=10), NOON + timedelta(days=20)))
PAGE = "/records/usage/"


def named(name: str) -> User:
    return User.objects.get(pk=UserIdentity.objects.get(name=name).user_id)


@pytest.fixture
def two(alice: User, bob: User, gateway: Gateway) -> tuple[list[UsageEvent], list[UsageEvent]]:
    """Alice's records and a team's, among each other, and Bob's, who is somebody else."""
    random = Random(5)

    def some(user: str, count: int) -> list[UsageEvent]:
        return [
            event(
                user,
                created_at=NOON + timedelta(seconds=random.randrange(400_000)),
                token=random.choice(["prod", f"{user[:4]}-own"]),
                group=random.choice(["default", "vip"]),
                cost=Decimal(random.randrange(1000)),
                type=random.choices(list(RecordType)[:2], [9, 1])[0],
            )
            for _ in range(count)
        ]

    mine, team = some("alice@example.com", 60), some("team-7", 45)
    store(gateway, *mine, *team, *some("bob@example.com", 20))
    return mine, team


def figures(user: User) -> tuple[int, Decimal]:
    totals = own_sums.totals(Scope.own(user), WEEKS)
    return totals.records, totals.cost
