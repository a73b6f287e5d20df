"""A field of a model that holds a secret, and its rotation to the first key."""

from __future__ import annotations

import hmac
from typing import Any

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.functions import Cast
from django.db.models.query_utils import DeferredAttribute

from routescope.encryption.keys import DecryptionError, decrypt, encrypt, is_current, rotate

MASK = "••••••••"
"""What a secret shows of itself."""


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
