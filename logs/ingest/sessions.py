"""Which session (conversation, coding session, run) a call belongs to, as far as anything tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from logs.models.events import UsageEvent
from logs.models.marks import MOST_LETTERS, PLACES, SESSION_FIELD
from routescope.text.identifiers import shown
from routescope.wire.reading import built

_NAMED = ("session_id", "x-session-id", "x_session_id", "conversation_id", "thread_id")
_IN_USER = re.compile(r"_session_([0-9a-f]{8}-[0-9a-f-]{27})\b")
"""Claude Code's ``metadata.user_id``: ``user_…_account_…_session_<uuid>``; later versions send an object."""


def tell(events: Iterable[UsageEvent]) -> None:
    """Say of each call in which session it was, where anything of it tells: in its metadata."""
    for event in events:
        if not event.metadata and not event.parameters:
            continue
        found = _session_of(event.metadata or {}, event.parameters or {})
        if found and (event.metadata is None or event.metadata.get(SESSION_FIELD) != found):
            event.metadata = {**(event.metadata or {}), SESSION_FIELD: found}


def _session_of(metadata: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    told = (*_told(metadata), parameters.get("prompt_cache_key"), metadata.get(SESSION_FIELD))
    for one in told:
        if isinstance(one, str) and (text := shown(one)):
            return text[:MOST_LETTERS]
    # A trace is what one run did; LiteLLM's callback has one for each call.
    trace = metadata.get("trace_id") if "span_id" in metadata else None
    return trace if isinstance(trace, str) else ""


def _told(metadata: Mapping[str, Any]) -> Iterator[Any]:
    held = [metadata, *(metadata.get(place) for place in PLACES)]
    fields = [one for one in held if isinstance(one, dict)]
    for one in fields:
        yield from (one.get(name) for name in _NAMED)
    for user in (metadata.get("end_user"), *(one.get("user_id") for one in fields)):
        if isinstance(user, str) and "session" in user:
            yield _of_user(user)


def _of_user(user: str) -> str:
    if user.lstrip().startswith("{"):
        found = built(user.encode(errors="replace"))
        session = found.get("session_id") if isinstance(found, dict) else None
        return session if isinstance(session, str) else ""
    found_in = _IN_USER.search(user)
    return found_in[1] if found_in else ""
