"""Who appears in the tests: Alice owns the records, Bob is a colleague, Charlie a stranger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.test import Client

from accounts.models import Gateway, IngestKey, User
from logs import ingest
from logs.events import Batch, UsageEvent

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
def alice_client(alice: User) -> Client:
    return signed_in(alice)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def event(user: User | str = "alice@example.com", **fields: Any) -> UsageEvent:
    """Make a record of ``user`` with believable values; ``minutes`` places it after NOON."""
    minutes = fields.pop("minutes", 0)
    number = next(_numbers)
    return UsageEvent(
        **{
            "request_id": f"req_{number:032x}",
            "created_at": NOON + timedelta(minutes=minutes),
            "user": user if isinstance(user, str) else str(user.email),
            "token": "prod",
            "model": "gpt-5",
            "group": "default",
            "input_tokens": 100,
            "output_tokens": 20,
            **fields,
        }
    )


def store(gateway: Gateway, *events: UsageEvent) -> ingest.Outcome:
    """Store records through the ingest service."""
    return ingest.store(gateway, Batch(events=list(enumerate(events)), rejected=[]))
