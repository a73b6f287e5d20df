"""Callbacks of providers at ``/hooks/<provider>/``: signed ones are believed, unsigned ones only make us ask.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
fal: https://docs.fal.ai/model-apis/model-endpoints/webhooks
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError
from standardwebhooks.webhooks import Webhook as StandardWebhook

from routescope import outbound
from routescope.bodies import BodyError, read_body
from routescope.outbound import OutboundError
from tasks import lifecycle, polling
from tasks.lifecycle import Observation
from tasks.models import (
    OPEN_STATUSES,
    AsyncTask,
    EventKind,
    ProviderCredential,
    TaskEvent,
    WebhookDelivery,
)
from tasks.providers.catalogue import catalogue
from tasks.providers.definition import Definition
from tasks.providers.reading import find_text, read

logger = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024
TOLERANCE = 300
"""Seconds that a signed time may lie from ours, as both schemes have it."""
KEYS_KEPT = 24 * 3600
"""fal's keys may be kept for a day at most, as its documentation says."""


class RefusedError(Exception):
    """A callback that is not believed: forged, stale, or not signed at all."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback whose signature holds. ``gateway_id``: the only gateway whose tasks it may speak of, or
    None.
    """

    id: str
    gateway_id: int | None


@csrf_exempt
@require_POST
def receive(request: HttpRequest, platform: str) -> JsonResponse:
    """Take a provider's callback in.

    200 once it is committed, also where it says nothing new; 401 where the signature does not hold or is
    too old, 409 for a delivery that was taken in before, 404 for a provider that sends none. Refusals are
    logged.
    """
    definition = catalogue().by_slug.get(platform)
    if definition is None:
        return JsonResponse({"error": "There is no such provider."}, status=404)
    try:
        body = read_body(request, MAX_BYTES)
        document = json.loads(body)
    except BodyError as error:
        return JsonResponse({"error": str(error)}, status=error.status)
    except ValueError:
        return JsonResponse({"error": "The body is not JSON."}, status=400)
    if definition.webhook.scheme == "none":
        return _hint(definition, document)
    try:
        delivery = _verified(definition, request.headers, body)
    except RefusedError as error:
        logger.warning("A webhook of %s was refused: %s", platform, error)
        return JsonResponse({"error": "The signature does not hold."}, status=401)
    with transaction.atomic():
        _, is_new = WebhookDelivery.objects.get_or_create(platform=platform, delivery_id=delivery.id[:200])
        if not is_new:
            logger.warning("A webhook of %s was refused: %s was delivered before", platform, delivery.id)
            return JsonResponse({"error": "This delivery was taken in before."}, status=409)
        found = _tasks(definition, document, delivery.gateway_id)
        for task in found:
            _take_in(task, definition, document, delivery)
    return JsonResponse({"tasks": len(found)})


def _take_in(task: AsyncTask, definition: Definition, document: Any, delivery: Delivery) -> None:
    webhook = definition.webhook
    reading = webhook.reading if webhook.body == "own" else definition.reading
    seen = Observation(key=f"webhook:{delivery.id}", kind=EventKind.WEBHOOK)
    if webhook.body == "hint" or reading is None:
        lifecycle.transition(task.pk, seen)
        _poll_now(task)
        return
    finding = read(reading, document, task_type=task.type, task_id=task.provider_task_id)
    if finding.status is None:
        _poll_now(task)
        return
    lifecycle.transition(task.pk, polling.told_by(finding, seen, definition))


def _hint(definition: Definition, document: Any) -> JsonResponse:
    """Ask the provider soon, since somebody says there is news. Whoever it was, nothing more is believed."""
    found = _tasks(definition, document, None)
    for task in found:
        if task.status in OPEN_STATUSES and _poll_now(task):
            # One line of the timeline a minute: strangers can send as many as they like.
            key = f"hint:{int(time.time() // 60)}"
            TaskEvent.objects.get_or_create(task=task, key=key, defaults={"kind": EventKind.HINT})
    return JsonResponse({"tasks": len(found)})


def _poll_now(task: AsyncTask) -> bool:
    """Make an open task due, unless it is being polled right now, or is due anyway."""
    now = timezone.now()
    rows = AsyncTask.objects.filter(pk=task.pk, status__in=OPEN_STATUSES, lease=None, next_poll_at__gt=now)
    return bool(rows.update(next_poll_at=now))


def _tasks(definition: Definition, document: Any, gateway_id: int | None) -> Sequence[AsyncTask]:
    identifier = find_text(definition.webhook.task_id, document)
    if not identifier:
        return []
    rows = AsyncTask.objects.filter(provider_task_id=identifier, platform=definition.slug)
    if gateway_id is not None:
        rows = rows.filter(gateway_id=gateway_id)
    # In one order: two deliveries about the same tasks wait for each other instead of deadlocking.
    return list(rows.order_by("pk")[:20])


def _verified(definition: Definition, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Return the delivery if its signature holds. Raises RefusedError with the reason, for the log."""
    if definition.webhook.scheme == "fal":
        return Delivery(_verify_fal(headers, body, definition.webhook.jwks), None)
    rows = ProviderCredential.objects.filter(platform=definition.slug).exclude(webhook_secret="")
    reason = "no webhook secret is configured"
    for credential in rows:
        try:
            delivery = verify_standard(credential.webhook_secret.reveal(), headers, body)
        except RefusedError as error:
            reason = str(error)
            continue
        return Delivery(delivery, credential.gateway_id)
    raise RefusedError(reason)


def verify_standard(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the delivery's ID if the signature holds by this secret. Raises RefusedError."""
    try:
        StandardWebhook(secret).verify(body, dict(headers.items()), json_parse=False)
    except WebhookVerificationError as error:
        raise RefusedError(str(error)) from error
    except (ValueError, OverflowError, RuntimeError) as error:
        # A header or a secret of another form (binascii.Error is a ValueError).
        raise RefusedError(f"malformed: {error}") from error
    except EmptyWebhookSecretError as error:
        raise RefusedError("the webhook secret is empty") from error
    return headers["webhook-id"]


def _verify_fal(headers: Mapping[str, str], body: bytes, jwks_url: str) -> str:
    names = ("Request-Id", "User-Id", "Timestamp", "Signature")
    values = [headers.get(f"X-Fal-Webhook-{name}", "") for name in names]
    if not all(values):
        raise RefusedError("not signed")
    request_id, user_id, timestamp, signature = values
    if not timestamp.isdigit() or abs(int(timestamp[:12]) - time.time()) > TOLERANCE:
        raise RefusedError(f"its time {timestamp[:20]} is too old or too new")
    message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()
    try:
        signed = bytes.fromhex(signature)
    except ValueError as error:
        raise RefusedError("the signature is not hexadecimal") from error
    for key in _fal_keys(jwks_url):
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
        except InvalidSignature:
            continue
        return f"{request_id}:{timestamp}"
    raise RefusedError("no key of fal's fits the signature")


def _fal_keys(url: str) -> list[bytes]:
    """Return fal's public keys, fetched once a day. Raises RefusedError while they cannot be had."""
    name = f"jwks:{hashlib.sha256(url.encode()).hexdigest()[:32]}"
    kept: list[str] | None = cache.get(name)
    if kept is None:
        try:
            answer = outbound.request("GET", url, limit=100_000)
            kept = [str(key["x"]) for key in answer.json()["keys"] if key.get("crv") == "Ed25519"]
        except (OutboundError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"the keys cannot be fetched: {error}") from error
        cache.set(name, kept, KEYS_KEPT)
    keys = []
    for text in kept:
        try:
            keys.append(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, ValueError):
            logger.error("A key at %s is not base64", url)
    return keys
