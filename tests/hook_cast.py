"""Who calls the hooks in the tests: a provider with its secret, beside a gateway that registers tasks."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from accounts.models import Gateway
from tasks.models import ProviderCredential
from tests import task_cast as cast

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes....").decode()
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture(autouse=True)
def secret(db: None) -> None:
    call_command("createcachetable", verbosity=0)
    cache.clear()
    ProviderCredential.objects.create(platform="replicate", webhook_secret=SECRET)


def signed(body: str | bytes, *, secret: str = SECRET, name: str = "msg_1") -> dict[str, str]:
    moment = datetime.now(UTC)
    text = body if isinstance(body, str) else body.decode("latin-1")
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, moment, text),
    }


def hook(client: Client, document: Any, *, platform: str = "replicate", **signing: Any) -> Any:
    body = document if isinstance(document, str) else json.dumps(document)
    return client.post(f"/hooks/{platform}/", body, "application/json", headers=signed(body, **signing))


def prediction(status: str = "succeeded", name: str = "pred-1", **fields: Any) -> dict[str, Any]:
    return {"id": name, "status": status, "output": ["https://replicate.delivery/x/out.png"], **fields}


def register(client: Client, gateway: Gateway, **fields: Any) -> None:
    body = {
        "task_id": "task_1",
        "created_at": (timezone.now() - timedelta(minutes=5)).isoformat(),
        "user": "alice@example.com",
        "platform": "replicate",
        "provider_task_id": "pred-1",
        "type": "image",
        **fields,
    }
    answer = client.post("/api/v1/tasks", json.dumps(body), "application/json", headers=cast.key(gateway))
    assert answer.status_code == 200 and not answer.json()["rejected"], answer.content
