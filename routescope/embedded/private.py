"""The state folder, its folders and its files are their owner's alone: it holds a key, data and exports."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import IO

from routescope.embedded import place

_OURS = {"secret_key", "locks", "engine", "exports", "staticfiles"}
_OURS_BEGIN = ("beat-schedule", "demo.json", ".secret_key.")


def keep_private(state: Path) -> None:
    """Make the state folder where it is missing, and close it: 0700, whatever made it.

    Where we are root, the engines run as another user whose data is inside: they may pass through it (0710,
    by their group) and see nothing else of it. A folder of somebody else's is left alone, and one that holds
    what is not ours, which others may need. Raises OSError.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    state.mkdir(mode=0o700, exist_ok=True)
    found = state.stat()
    if found.st_uid != os.geteuid():
        return
    group = _passing(state)
    wanted = 0o700 if group is None else 0o710
    if stat.S_IMODE(found.st_mode) == wanted and group in (None, found.st_gid):
        return
    if state != place.CHECKOUT / "var" and not all(_is_ours(one.name) for one in state.iterdir()):
        return
    if group is not None:
        os.chown(state, -1, group)
    state.chmod(wanted)


def folder(path: Path) -> Path:
    """Return a folder inside the state folder, made if need be and closed. Raises OSError."""
    keep_private(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def opened(path: Path, mode: str) -> IO[str]:
    """Open a text file that is ours, 0600 though it is older. Raises OSError."""
    file = open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    found = os.fstat(file.fileno())
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != 0o600:
        os.fchmod(file.fileno(), 0o600)
    return file


def _passing(state: Path) -> int | None:
    """Return the group of the user whose engines are inside, where that is not ourselves.

    Inside are also those of a state folder within this one, such as the tests' ``var/test``.
    """
    if os.geteuid() != 0:
        return None
    for folder in (state, *state.iterdir()):
        try:
            found = place.engine(folder).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if found.st_uid != 0 and stat.S_ISDIR(found.st_mode):
            try:
                return pwd.getpwuid(found.st_uid).pw_gid
            except KeyError:
                return found.st_gid
    return None


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(_OURS_BEGIN)
