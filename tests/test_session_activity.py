"""A session's activity is written once a minute, and at once where it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from allauth.usersessions.models import UserSession
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.sign_in import activity
from tests.cast import signed_in


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that touch what is known of sessions' activity."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found += [one["sql"] for one in captured.captured_queries if '"usersessions_usersession"' in one["sql"]]


def test_it_is_written_once_and_again_from_elsewhere_or_after_a_while(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(alice)
    with statements() as first:
        client.get("/records/tasks/", headers={"User-Agent": "one"})
    assert first and UserSession.objects.get(user=alice).user_agent == "one"
    with statements() as again:
        client.get("/records/tasks/", headers={"User-Agent": "one"})
    assert not again
    seen = UserSession.objects.get(user=alice).last_seen_at
    with statements() as elsewhere:
        client.get("/records/tasks/", headers={"User-Agent": "two"})
    assert elsewhere and UserSession.objects.get(user=alice).user_agent == "two"
    monkeypatch.setattr(activity, "EVERY", -1.0)
    client.get("/records/tasks/", headers={"User-Agent": "two"})
    assert UserSession.objects.get(user=alice).last_seen_at > seen


def test_nothing_is_written_of_who_is_not_signed_in(client: Client, db: None) -> None:
    with statements() as found:
        client.get("/records/tasks/")
    assert not found and not UserSession.objects.exists()
