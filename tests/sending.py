"""Sending records in as a gateway does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import Gateway, IngestKey
from logs.models import UsageRecord


class Sender:
    """A gateway with a key, and what it sends."""

    def __init__(self, client: Client, name: str = "gateway") -> None:
        self.client = client
        self.gateway, _ = Gateway.objects.get_or_create(name=name)
        _, self.key = IngestKey.issue(self.gateway)

    def post(self, path: str, body: bytes | list[Any] | dict[str, Any], **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = headers.pop("content_type", "application/json")
        return self.client.post(
            path, data, content_type=content_type, headers={"Authorization": f"Bearer {self.key}", **headers}
        )

    def record(self, request_id: str) -> Any:
        """Return the one record of a request, its names loaded."""
        return UsageRecord.objects.select_related("user", "token", "model", "group").get(
            request_id=request_id
        )


@pytest.fixture
def sender(client: Client, db: None) -> Sender:
    return Sender(client)
