"""Where the embedded engines keep their things. Computes paths only: nothing is made or started here.

var/                    ROUTESCOPE_STATE, 0700; 0710 where the engines of root pass through (`private`)
  secret_key  locks/    the invoking user's
  engine/               the engines', owned by whom they run as; a symlink where root's checkout is closed
    postgres/ redis/ log/   redis/ is Valkey's: it speaks Redis, and the queue of an older Redis goes on
    run/                the sockets, 0700
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent

# sun_path holds 104 bytes on BSD and macOS, 108 on Linux.
_LONGEST_SOCKET = 100
_SOCKET_NAME = ".s.PGSQL.5432"


def state() -> Path:
    """Return the state folder: ROUTESCOPE_STATE (from the checkout, if relative), or ``var``."""
    return (CHECKOUT / (os.environ.get("ROUTESCOPE_STATE", "").strip() or "var")).resolve()


def engine(state: Path) -> Path:
    """Return the engines' folder, as the invoking user reaches it."""
    return state / "engine"


def sockets(state: Path) -> Path:
    """Return the folder of the sockets: the engines' own, or a hashed name where that path is too long.

    It depends on nothing but the state folder and the user, so that commands with other environments meet.
    """
    inside = engine(state) / "run"
    if len(os.fsencode(inside / _SOCKET_NAME)) <= _LONGEST_SOCKET:
        return inside
    base = Path("/run") if os.geteuid() == 0 and os.access("/run", os.W_OK) else Path("/tmp")  # noqa: S108
    return base / f"routescope-{os.geteuid()}-{digest(state)}"


def digest(path: Path) -> str:
    """Return a short name for a path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
