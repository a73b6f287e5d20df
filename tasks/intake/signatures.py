"""Whether a callback is the provider's: what its headers alone tell, before a body is read; then the rest.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
fal: https://docs.fal.ai/model-apis/model-endpoints/webhooks
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db.models import QuerySet
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError
from standardwebhooks.webhooks import Webhook as StandardWebhook

from routescope.encryption import DecryptionError
from tasks.intake import published_keys
from tasks.models import ProviderCredential
from tasks.providers.definition import Definition

TOLERANCE = 300
"""Seconds that a signed time may lie from ours, as both schemes have it."""
MAX_ID = 200
_LONGEST_HEADER = 2_000
_EPOCH = re.compile(r"[0-9]{1,12}", re.ASCII)
_STANDARD_SIGNATURE = re.compile(r"v[0-9a-z]{1,4},[A-Za-z0-9+/_=-]{20,200}", re.ASCII)
_FAL_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}", re.ASCII)
_FAL_HEADERS = tuple(f"X-Fal-Webhook-{name}" for name in ("Request-Id", "User-Id", "Timestamp", "Signature"))


class RefusedError(Exception):
    """A callback that is not believed: forged, stale, or not signed at all."""


class CannotTellError(Exception):
    """It cannot be told now whether a callback is the provider's; it may be sent again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback whose signature holds. ``gateway_id``: the only gateway whose tasks it may speak of, or
    None.
    """

    id: str
    gateway_id: int | None


def check_headers(definition: Definition, headers: Mapping[str, str]) -> None:
    """Raise RefusedError for what no body could make good: no signature, one of another shape, a time too far
    from ours, or no secret to know it by.
    """
    if definition.webhook.scheme == "fal":
        _, _, timestamp, signature = _fal_values(headers)
        if not _FAL_SIGNATURE.fullmatch(signature):
            raise RefusedError("the signature is not one of fal's shape")
        _check_time(timestamp)
        return
    name, timestamp, signatures = (
        headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature")
    )
    if not (name and timestamp and signatures):
        raise RefusedError("not signed")
    if max(len(name), len(signatures)) > _LONGEST_HEADER:
        raise RefusedError("its headers are too long")
    if not any(_STANDARD_SIGNATURE.fullmatch(one) for one in signatures.split()):
        raise RefusedError("none of its signatures has the shape of one")
    _check_time(timestamp)
    if not _secrets(definition).exists():
        raise RefusedError("no webhook secret is configured")


def verified(definition: Definition, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Return the delivery if its signature holds.

    Raises RefusedError with the reason, for the log, and CannotTellError.
    """
    if definition.webhook.scheme == "fal":
        return Delivery(_verify_fal(headers, body, definition.webhook.jwks), None)
    reason = "no webhook secret is configured"
    try:
        for credential in _secrets(definition):
            try:
                delivery = verify_standard(credential.webhook_secret.reveal(), headers, body)
            except RefusedError as error:
                reason = str(error)
                continue
            return Delivery(_bounded(delivery), credential.gateway_id)
    except DecryptionError as error:
        raise CannotTellError(f"A webhook secret cannot be read: {error}") from error
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


def _secrets(definition: Definition) -> QuerySet[ProviderCredential]:
    return ProviderCredential.objects.filter(platform=definition.slug).exclude(webhook_secret="")


def _check_time(timestamp: str) -> None:
    if not _EPOCH.fullmatch(timestamp) or abs(int(timestamp) - time.time()) > TOLERANCE:
        raise RefusedError(f"its time {timestamp[:20]!r} is too old or too new")


def _bounded(name: str) -> str:
    """Return a delivery's ID, or what stands for one that is too long to keep: no two become one."""
    if len(name) <= MAX_ID:
        return name
    return f"{name[: MAX_ID - 65]}#{hashlib.sha256(name.encode()).hexdigest()}"


def _fal_values(headers: Mapping[str, str]) -> tuple[str, str, str, str]:
    request_id, user_id, timestamp, signature = (headers.get(name, "") for name in _FAL_HEADERS)
    if not (request_id and user_id and timestamp and signature):
        raise RefusedError("not signed")
    if max(len(request_id), len(user_id)) > _LONGEST_HEADER:
        raise RefusedError("its headers are too long")
    return request_id, user_id, timestamp, signature


def _verify_fal(headers: Mapping[str, str], body: bytes, jwks_url: str) -> str:
    request_id, user_id, timestamp, signature = _fal_values(headers)
    message = "\n".join((request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())).encode()
    signed = bytes.fromhex(signature)
    for keys in published_keys.of(jwks_url):
        for key in keys:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signed, message)
            except InvalidSignature:
                continue
            return _bounded(f"{request_id}:{timestamp}")
    raise RefusedError("no key of fal's fits the signature")
