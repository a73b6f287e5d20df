"""Addresses without secrets: one may be encoded in them, and is as good as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from routescope.text.redaction import SECRET, without_secrets

_PART = re.compile(r"[^/?&#]+")
_MOST_TIMES = 3


def without_secrets_in_address(address: str) -> str:
    """Return an address with its secrets replaced, and whole parts of it that hold one encoded."""
    address = without_secrets(address)
    return _PART.sub(_unless_hidden, address) if "%" in address else address


def has_secret(part: str) -> bool:
    """Whether a part of an address, a parameter of its query for one, holds a secret, encoded or not."""
    return any(without_secrets(f"?{said}") != f"?{said}" for said in decoded(part))


def decoded(part: str) -> Iterator[str]:
    """Yield a part as it stands and as it reads: what is encoded in an address may be an address."""
    yield part
    for _ in range(_MOST_TIMES):
        said = unquote(part)
        if said == part:
            return
        yield (part := said)


def _unless_hidden(found: re.Match[str]) -> str:
    return SECRET if "%" in found[0] and has_secret(found[0]) else found[0]
