"""What to do with a new ingest key."""

from __future__ import annotations

import json
import shlex

from django.conf import settings
from django.urls import reverse
from django.utils import timezone


def ingest_url() -> str:
    """Return where records are sent to."""
    return f"{settings.BASE_URL}{reverse('api-usage')}"


def curl(key: str) -> str:
    """Return a command line that sends one record, made now, with an ingest key."""
    now = timezone.now()
    record = {
        "request_id": f"req_hello_{int(now.timestamp())}",
        "created_at": now.isoformat(timespec="milliseconds"),
        "user": "someone@example.com",
        "token": "first-steps",
        "model": "gpt-5-mini",
        "input_tokens": 12,
        "output_tokens": 34,
        "duration_ms": 840,
    }
    return " ".join(
        (
            f"curl -sS {shlex.quote(ingest_url())}",
            f"-H {shlex.quote(f'Authorization: Bearer {key}')}",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(record))}",
        )
    )
