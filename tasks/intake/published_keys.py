"""A provider's public keys, as it publishes them (JWKS): fetched seldom, whoever calls and however often.

What is fetched is kept for a day, that it could not be had for a minute. Keys that fit no signature may be
old ones: they are fetched anew, but not again within ten minutes, since forged signatures fit none either.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Iterator

from django.core.cache import cache

from routescope.wire import outbound
from routescope.wire.outbound import OutboundError
from routescope.wire.strict_json import JSON, JSONError

logger = logging.getLogger(__name__)

KEPT = 24 * 3600
"""fal's keys may be kept for a day at most, as its documentation says."""
FAILURE_KEPT = 60
REFRESHED_AFTER = 600
TIMEOUT = 5.0
MAX_BYTES = 100_000
MAX_KEYS = 20
_ED25519_BYTES = 32


class KeysUnavailableError(Exception):
    """The keys cannot be had now."""


def of(url: str) -> Iterator[list[bytes]]:
    """Yield the Ed25519 keys that are published at ``url``; then, for whom none fits, those of now if they
    are others. Raises KeysUnavailableError.
    """
    name = f"jwks:{hashlib.sha256(url.encode()).hexdigest()[:32]}"
    kept: list[str] | None = cache.get(name)
    if kept is not None:
        yield _bytes(kept)
        # One look in so many seconds: who forges signatures cannot make us ask more often.
        if not cache.add(f"{name}:asked", 1, REFRESHED_AFTER):
            return
    # One fetch at a time, and none for a while after one that failed.
    elif not cache.add(f"{name}:tried", 1, FAILURE_KEPT):
        raise KeysUnavailableError(f"The keys at {url} could not be fetched lately.")
    try:
        answer = outbound.request("GET", url, limit=MAX_BYTES, timeout=TIMEOUT)
        if answer.status != 200:
            raise KeysUnavailableError(f"{url} answers with HTTP {answer.status}.")
        found = _keys(answer.json())
    except (OutboundError, JSONError, KeysUnavailableError) as error:
        if kept is not None:
            logger.warning("The keys at %s could not be looked at again: %s", url, error)
            return
        raise KeysUnavailableError(f"The keys cannot be fetched: {error}") from error
    cache.set(name, found, KEPT)
    cache.set(f"{name}:asked", 1, REFRESHED_AFTER)
    cache.delete(f"{name}:tried")
    if found != kept:
        yield _bytes(found)


def _keys(document: JSON) -> list[str]:
    """Return the Ed25519 keys of a JWKS, as they stand in it. Raises KeysUnavailableError for none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else []:
        key = entry.get("x") if isinstance(entry, dict) and entry.get("crv") == "Ed25519" else None
        if isinstance(key, str) and len(_decoded(key)) == _ED25519_BYTES:
            found.append(key)
    if not found:
        raise KeysUnavailableError("There is no Ed25519 key among them.")
    return found[:MAX_KEYS]


def _bytes(keys: list[str]) -> list[bytes]:
    return [_decoded(key) for key in keys]


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
