"""Links of the operator's own: a Playground, an API reference, terms, privacy.

The first two are templates, filled in for one call or task; see `PLACEHOLDERS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core import checks

Place = Literal["model", "endpoint", "task_type", "request_id", "platform"]
PLACEHOLDERS: dict[str, Place] = {
    "model": "model",
    "endpoint": "endpoint",
    "task_type": "task_type",
    "request_id": "request_id",
    "platform": "platform",
    # What `task_type` was called at first.
    "type": "task_type",
}
"""What a template may name, and which value that is."""
TEMPLATES = ("PLAYGROUND_URL", "API_REFERENCE_URL")
PAGES = ("TERMS_URL", "PRIVACY_URL")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def filled(template: str, **values: str) -> str:
    """Return a link with its placeholders filled in, each quoted for a URL; one without a value is empty.

    Nothing is returned for no template.
    """
    return _PLACEHOLDER.sub(
        lambda one: quote(values.get(PLACEHOLDERS.get(one[1], ""), ""), safe=""), template
    )


def check(**kwargs: object) -> list[checks.CheckMessage]:
    """Refuse to start with a link that nobody could follow."""
    found: list[checks.CheckMessage] = []
    for name in (*TEMPLATES, *PAGES):
        known = PLACEHOLDERS if name in TEMPLATES else {}
        found += [
            checks.Error(f"{name} {fault}.", hint=f"It is {getattr(settings, name)!r}.", id="routescope.E002")
            for fault in _faults(getattr(settings, name), known)
        ]
    return found


def _faults(link: str, known: dict[str, Place]) -> Iterator[str]:
    """Yield what is wrong with a link, as the end of a sentence."""
    if not link:
        return
    if re.search(r"[\s\x00-\x1f\x7f]", link):
        yield "must not hold spaces or control characters"
    if unknown := sorted({name for name in _PLACEHOLDER.findall(link) if name not in known}):
        allowed = ", ".join(f"{{{name}}}" for name in known) or "none"
        yield f"names {', '.join(f'{{{name}}}' for name in unknown)}; it may name {allowed}"
    rest = _PLACEHOLDER.sub("", link)
    if "{" in rest or "}" in rest:
        yield "has a brace without its other half"
    try:
        parts = urlsplit(link)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        yield "is not a URL"
        return
    if parts.scheme not in ("https", "http") or not host:
        yield "must begin with https:// or http:// and a host"
    elif _PLACEHOLDER.search(parts.netloc):
        yield "must not have a placeholder in its host"
    elif parts.username is not None:
        yield "must not hold a user name or password: everybody would see it"
