"""What a browser is called, told by its User-Agent header."""

from __future__ import annotations

from routescope.text import formatting

# Looked for in this order: most browsers also carry the names of those they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser(user_agent: str | None) -> str:
    """Say which browser a User-Agent header names, for a person: ``Firefox, Linux``."""
    agent = user_agent or ""
    named = (next((name for mark, name in marks if mark in agent), "") for marks in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, named)) or agent.partition("/")[0].strip() or formatting.UNKNOWN
