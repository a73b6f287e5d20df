"""Read settings from the environment; a value that cannot be used stops the start with a sentence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Never

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

# 32 characters of base64 hold 192 bits, of hex 128.
_LEAST_KEY = 32
_LEAST_CHARACTERS = 10
_PLACEHOLDERS = ("insecure", "changeme", "change-me", "change_me", "secret", "password", "example")


class SecretText:
    """A value that nothing prints: no log line, error page or dump of settings. ``reveal`` hands it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "SecretText(…)"

    __str__ = __repr__

    def __reduce__(self) -> Never:
        raise TypeError("A secret is not written anywhere.")


def text(name: str, default: str = "") -> str:
    """Return the variable's value without surrounding space, or ``default`` where it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool) -> bool:
    """Return a yes/no variable. Raises ImproperlyConfigured for any other word."""
    value = text(name).lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no; use 1 or 0.")


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """Return a whole number. Raises ImproperlyConfigured if it is not one, or is below ``minimum``."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name}={number} is too small; it must be at least {minimum}.")
    return number


def secret_key(name: str) -> str:
    """Return a key that others must not guess, or nothing where it is unset.

    Raises ImproperlyConfigured for one that is short, of few characters, or a placeholder.
    """
    value = text(name)
    weak = len(value) < _LEAST_KEY or len(set(value)) < _LEAST_CHARACTERS
    if value and (weak or any(word in value.lower() for word in _PLACEHOLDERS)):
        raise ImproperlyConfigured(
            f"{name} can be guessed: it signs sessions and encrypts what is kept. Make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'."
        )
    return value


def secret(name: str) -> SecretText:
    """Return a variable that must not be printed; a false one where it is unset or empty."""
    return SecretText(text(name))


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """Return a comma-separated list."""
    value = text(name)
    return [part.strip() for part in value.split(",") if part.strip()] if value else list(default)
