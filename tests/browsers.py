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
# Two of the browser's own pages, in each window: they take a tenth of a run's time, and nobody sees them.
_OWN_PAGES = ("AimEnabled", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxPopup")
# What Playwright turns off that matters here: the last list that is given is the one that counts.
_PLAYWRIGHTS = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
BROWSER_ARGS = [
    "--disable-background-networking",
    "--disable-component-update",
    f"--disable-features={','.join((*_OWN_PAGES, *_PLAYWRIGHTS))}",
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
