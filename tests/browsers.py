"""Where a browser is installed, and how it is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/snap/bin/chromium",
)
BROWSER_ARGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def chromium() -> str | None:
    """Return the installed browser's program, if there is one."""
    if named := os.environ.get("CHROMIUM"):
        return named
    found = (shutil.which(name) for name in _BROWSERS)
    return next((path for path in (*found, *_BROWSER_APPS) if path and Path(path).exists()), None)
