"""Who appears in the tests: Alice owns the records, Bob is a colleague, Charlie a stranger."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.test import Client
from time_machine import TimeMachineFixture

from accounts.models import Gateway, IngestKey, User
from logs.ingest import batches
from logs.models.events import Batch, UsageEvent
from tests.moments import records as moments

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""A time that tests build records around; they choose their range of time themselves."""

_numbers = count(1)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.com", "alice-password", name="Alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob@example.com", "bob-password", name="Bob")


@pytest.fixture
def charlie(db: None) -> User:
    return User.objects.create_user("charlie@example.com", "charlie-password", name="Charlie")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("admin@example.com", "admin-password", name="Admin")


@pytest.fixture
def gateway(db: None) -> Gateway:
    return Gateway.objects.create(name="edge")


@pytest.fixture
def ingest_key(gateway: Gateway) -> str:
    return IngestKey.issue(gateway)[1]


@pytest.fixture
def standing_clock(time_machine: TimeMachineFixture) -> datetime:
    """This process's clock stands still; where it stands."""
    now = datetime.now(UTC)
    time_machine.move_to(now, tick=False)
    return now


@pytest.fixture
def alice_client(alice: User) -> Client:
    return signed_in(alice)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def code_of(secret: str) -> str:
    """Return the code that an app with this secret shows now."""
    now = int(time.time()) // 30
    return str(totp.format_hotp_value(totp.hotp_value(secret, now)))


def event(user: User | str = "alice@example.com", **fields: Any) -> UsageEvent:
    """Make a record of ``user`` with believable values; ``minutes`` places it after NOON.

    The first one of a minute has its first millisecond, the second one the next: made later is later.
    """
    minutes = fields.pop("minutes", 0)
    if "created_at" not in fields:
        fields["created_at"] = moments.free(NOON + timedelta(minutes=minutes))
    number = next(_numbers)
    return UsageEvent(
        **{
            "request_id": f"req_{number:032x}",
            "user": user if isinstance(user, str) else str(user.email),
            "token": "prod",
            "model": "gpt-5",
            "group": "default",
            "input_tokens": 100,
            "output_tokens": 20,
            **fields,
        }
    )


def just_now() -> datetime:
    """Return the time it is, or the first millisecond after it that no record of the test has."""
    return moments.free(datetime.now(UTC))


def store(gateway: Gateway, *events: UsageEvent, ties: bool = False) -> batches.Outcome:
    """Store records through the ingest service.

    Two of one millisecond fail the test, unless ``ties`` are meant: nothing but chance puts them in order.
    """
    for one in events:
        moments.took(one.created_at, (gateway.pk, one.request_id, one.type), ties=ties)
    return batches.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))
