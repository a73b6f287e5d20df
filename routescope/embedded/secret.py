"""The SECRET_KEY of a checkout that runs on embedded engines."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from routescope.embedded import private


def local_key(state: Path) -> str:
    """Return the key kept in the state folder, made at first use (mode 0600, whole or not at all).

    Raises ImproperlyConfigured where DATABASE_URL is set, or the file cannot be kept.
    """
    if os.environ.get("DATABASE_URL", "").strip():
        raise ImproperlyConfigured(
            "SECRET_KEY must be set where DATABASE_URL is: make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))' and keep it."
        )
    file = state / "secret_key"
    try:
        if key := _read(file):
            return key
        private.keep_private(state)
        _write_once(file, secrets.token_urlsafe(50))
        key = _read(file)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Set SECRET_KEY: it is not set, and none can be kept in {file} ({error.strerror})."
        ) from error
    if not key:
        raise ImproperlyConfigured(f"{file} is empty: delete it, or set SECRET_KEY.")
    return key


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""


def _write_once(file: Path, key: str) -> None:
    """Give the file its content in one step; whoever comes second keeps the first one's."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(key)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, file)
    except FileExistsError:
        pass  # Another process was first: its key is the key.
    finally:
        draft.unlink(missing_ok=True)
