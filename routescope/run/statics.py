"""Collect the static files, when one of them changed: hashing and compressing all of them takes seconds."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command

_STAMP = ".collected"


def collect() -> bool:
    """Bring STATIC_ROOT up to date; say whether there was anything to do.

    Raises ValueError where a style sheet names a file that does not exist.
    """
    root = Path(settings.STATIC_ROOT)
    root.mkdir(parents=True, exist_ok=True)
    with (root / _STAMP).open("a+") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)  # Two that write the same files at once trip over each other.
        current = _fingerprint()
        stamp.seek(0)
        if stamp.read() == current:
            return False
        stamp.truncate(0)
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write(current)
        return True


def _fingerprint() -> str:
    """Return what changes when a source file or the way of storing it does."""
    seen = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            if not isinstance(storage, FileSystemStorage):
                continue  # Django's finders know none, and nothing else has a time to compare.
            facts = Path(storage.path(name)).stat()
            seen.update(f"{storage.path(name)}\0{facts.st_mtime_ns}\0{facts.st_size}\n".encode())
    return seen.hexdigest()
