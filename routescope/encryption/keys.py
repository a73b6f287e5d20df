"""The keys, and what is done with them.

Fernet (AES-128-CBC with HMAC-SHA256), with keys derived from ``ENCRYPTION_KEYS``. The first key encrypts; all
of them decrypt, so a new key is put in front and the old ones stay until everything has been rewritten.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class DecryptionError(Exception):
    """The value was encrypted with a key that is no longer configured, or was changed since."""


def encrypt(plain: bytes) -> bytes:
    """Return an ASCII token that only the holder of a configured key can read, and nobody can change."""
    return _fernet(_keys()).encrypt(plain)


def decrypt(token: bytes) -> bytes:
    """Return what was encrypted. Raises DecryptionError where no configured key fits."""
    try:
        return _fernet(_keys()).decrypt(token)
    except InvalidToken as error:
        raise DecryptionError(
            "A stored value cannot be decrypted: put the key it was encrypted with back into ENCRYPTION_KEYS."
        ) from error


def rotate(token: bytes) -> bytes:
    """Return the same content encrypted with the first key. Raises DecryptionError."""
    try:
        return _fernet(_keys()).rotate(token)
    except InvalidToken as error:
        raise DecryptionError("A stored value cannot be decrypted, so it cannot be re-encrypted.") from error


def is_current(token: bytes) -> bool:
    """Say whether the first key encrypted this."""
    try:
        _fernet(_keys()[:1]).decrypt(token)
    except InvalidToken:
        return False
    return True


def key_id() -> str:
    """Return a name of the key that encrypts now, by which what is under an older one is found."""
    return hashlib.sha256(_derive(_keys()[0])).hexdigest()[:12]


def _keys() -> tuple[str, ...]:
    return tuple(settings.ENCRYPTION_KEYS)


@lru_cache(maxsize=8)
def _fernet(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key))) for key in keys])


def _derive(key: str) -> bytes:
    # The purpose is part of the key: one from SECRET_KEY can never be one that signs sessions.
    return HKDF(SHA256(), 32, salt=None, info=b"routescope encryption at rest v1").derive(key.encode())
