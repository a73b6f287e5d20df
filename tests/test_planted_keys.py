"""A key planted into any field of a record is in no row of the database."""

from __future__ import annotations

import pytest

from logs.models import UsageRecord
from tests import secret_kinds
from tests.sending import Sender, sender
from tests.test_content_privacy import dump, everywhere

__all__ = ["sender"]

pytestmark = pytest.mark.django_db

KEYS = [secret_kinds.drawn(template, "record")[0] for template in secret_kinds.BY_SHAPE.values()][::8]


@pytest.mark.parametrize("key", KEYS)
def test_no_field_of_a_record_keeps_a_key(sender: Sender, key: str) -> None:
    named = ("request_id", "upstream_request_id", "task_id", "token", "group", "model", "provider", "channel")
    body = {
        **everywhere("x", "y", key),
        **{name: f"{name} {key}" for name in named},
        "endpoint": f"/v1/models?key={key}",
        "user_agent": f"client/1 {key}",
        "billing": {"note": key, key: 1},
    }
    assert sender.post("/api/v1/usage", body).json()["accepted"] == 1
    assert UsageRecord.objects.count() == 1
    assert key.encode() not in dump()
