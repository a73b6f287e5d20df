"""The disk of the embedded PostgreSQL: what is kept free on it, and a file that is given up when it is full.

Where PostgreSQL cannot write its log of changes it stops with a panic, and cannot recover before there is
room. What is kept free is for us to respect (``routescope.data.room``); others who fill the disk do not. The
ballast is: room that only we can make, at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from routescope.embedded import place
from routescope.embedded.account import engine_account

MB = 1024 * 1024


@dataclass(frozen=True)
class Disk:
    """The disk that a folder is on, in bytes: its size, and what may still be written to it."""

    size: int
    free: int

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """Return the disk of a folder, which need not exist yet."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        found = os.statvfs(folder)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    @property
    def kept(self) -> int:
        """What is kept free for PostgreSQL: an eighth, from 48 MB to 4 GB."""
        return max(48 * MB, min(self.size // 8, 4096 * MB))

    @property
    def ballast(self) -> int:
        """The size of the ballast: a thirty-second part, from 16 to 256 MB."""
        return max(16 * MB, min(self.size // 32, 256 * MB))


def trim(state: Path) -> str | None:
    """Give the ballast up where the disk is full, and take it in again once there is room; say what was done.

    Call under the start lock.
    """
    folder = place.engine(state)
    file = folder / "ballast"
    disk = Disk.of(folder)
    if disk.free < disk.ballast // 2:
        if not file.exists():
            return None
        with engine_account(folder).acting():
            file.unlink()
        return f"is full: {disk.ballast // MB} MB of ballast given up"
    if file.exists() or disk.free < disk.kept + 2 * disk.ballast:
        return None
    with engine_account(folder).acting():
        _fill(file, disk.ballast)
    return None


def _fill(file: Path, size: int) -> None:
    draft = file.with_name("ballast.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(out.fileno(), 0, size)
        else:
            for _ in range(size // MB):
                out.write(b"\0" * MB)
    draft.replace(file)
