"""What to do first: a gateway, a key, a record. What is printed works as it is, pasted into a shell."""

from __future__ import annotations

import json
import shlex
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import Gateway, IngestKey, User

_SOMEBODY = "someone@example.com"
_MOST_ASKED = 3


def ingest_url() -> str:
    """Return where records are sent to."""
    return f"{settings.BASE_URL}{reverse('api-usage')}"


def curl(key: str, email: str | None = None) -> str:
    """Return a command line that sends one record, made now, with an ingest key.

    It is the record of whoever has the e-mail address; by default of the first admin, who then sees it.
    """
    return _command(shlex.quote(f"Authorization: Bearer {key}"), email or _first_admin(), timezone.now())


def curl_asking(email: str, at: datetime) -> str:
    """Return a command line that asks for the ingest key, and sends one record made at a moment."""
    ask = "printf 'Ingest key: ' && read -r INGEST_KEY && \\\n"
    return ask + _command('"Authorization: Bearer $INGEST_KEY"', email, at)


def has_gateway() -> bool:
    """Whether there is a gateway that may send."""
    return Gateway.objects.filter(is_active=True).exists()


def has_key() -> bool:
    """Whether one of the gateways has a key that is not revoked."""
    return IngestKey.objects.filter(revoked_at=None, gateway__is_active=True).exists()


def whom_to_ask() -> list[str]:
    """Return the e-mail addresses of admins, those who were there first, a few of them."""
    admins = User.objects.filter(is_superuser=True, is_active=True).exclude(email=None)
    return [str(email) for email in admins.order_by("pk").values_list("email", flat=True)[:_MOST_ASKED]]


def _first_admin() -> str:
    return next(iter(whom_to_ask()), _SOMEBODY)


def _command(authorization: str, email: str, at: datetime) -> str:
    record = {
        "request_id": f"req_hello_{int(at.timestamp())}",
        "created_at": at.isoformat(timespec="milliseconds"),
        "user": email,
        "token": "first-steps",
        "model": "gpt-5-mini",
        "input_tokens": 12,
        "output_tokens": 34,
        "duration_ms": 840,
    }
    return " \\\n  ".join(
        (
            f"curl -sS {shlex.quote(ingest_url())}",
            f"-H {authorization}",
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(record))}",
        )
    )
