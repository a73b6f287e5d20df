"""Encryption at rest: what the database holds is of no use without the keys.

Fernet (AES-128-CBC with HMAC-SHA256), with keys derived from ``ENCRYPTION_KEYS``. The first key encrypts; all
of them decrypt, so a new key is put in front and the old ones stay until everything has been rewritten.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.functions import Cast
from django.db.models.query_utils import DeferredAttribute

MASK = "••••••••"
"""What a secret shows of itself."""


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


class Secret:
    """A text that nothing prints by accident: a page, a log, a trace. ``reveal()`` is asked on purpose."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __str__(self) -> str:
        return MASK if self._text else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class _SecretAttribute(DeferredAttribute):
    """Whatever is put into the field comes out as a Secret."""

    field: models.Field[Any, Any]

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = Secret(value) if isinstance(value, str) else value


class EncryptedTextField(models.TextField[str | Secret, Secret]):
    """A secret text, encrypted in the database. It cannot be searched; empty text stays empty."""

    descriptor_class = _SecretAttribute

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value.reveal() if isinstance(value, Secret) else value)
        return encrypt(text.encode()).decode() if text else text

    def from_db_value(
        self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper
    ) -> Secret | None:
        return None if value is None else Secret(decrypt(value.encode()).decode() if value else "")

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Secret) else super().to_python(value)


def rotate_fields() -> tuple[int, int]:
    """Re-encrypt every EncryptedTextField with the first key.

    Returns how many values were, and how many no key fits. May be broken off and run again.
    """
    done = lost = 0
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                changed, unreadable = _rotate_field(model, field)
                done, lost = done + changed, lost + unreadable
    return done, lost


def _rotate_field(model: type[models.Model], field: EncryptedTextField) -> tuple[int, int]:
    done = lost = 0
    rows = model._default_manager.annotate(token=Cast(field.name, models.TextField())).exclude(token="")
    for pk, token in rows.order_by("pk").values_list("pk", "token"):
        if is_current(token.encode()):
            continue
        try:
            fresh = rotate(token.encode()).decode()
        except DecryptionError:
            lost += 1
            continue
        # Only where nobody entered another meanwhile.
        same = model._default_manager.filter(pk=pk).annotate(token=Cast(field.name, models.TextField()))
        done += same.filter(token=token).update(
            **{field.name: models.Value(fresh, output_field=models.TextField())}
        )
    return done, lost
