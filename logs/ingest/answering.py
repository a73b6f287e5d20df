"""Did the model answer that was asked for? Told as a record comes in, and kept in its metadata."""

from __future__ import annotations

from collections.abc import Iterable

from logs.models import REQUEST_TYPES, Status
from logs.models.events import JSONObject, UsageEvent
from logs.models.marks import ANSWERED_BY, ASKED_FOR
from logs.pricing.same_model import is_another


def tell(events: Iterable[UsageEvent]) -> None:
    """Say of each call that another model answered which it was; of what was said before nothing stays.

    Formats keep what they know under names of their own: ``answered_model`` is what the answer itself names,
    ``upstream_model`` to which the gateway led the call, ``requested_model`` what the client asked for where
    the record has another one.
    """
    for event in events:
        if not event.metadata:
            continue
        if ANSWERED_BY in event.metadata or ASKED_FOR in event.metadata:
            event.metadata = _without(event.metadata) or None
        if not event.metadata or event.status is not Status.SUCCESS or event.type not in REQUEST_TYPES:
            continue
        asked, answered = _asked(event, event.metadata), _answered(event, event.metadata)
        if asked and answered and asked != answered and is_another(asked, answered):
            event.metadata = {**event.metadata, ASKED_FOR: asked, ANSWERED_BY: answered}


def _asked(event: UsageEvent, metadata: JSONObject) -> str:
    return _name(metadata.get("requested_model")) or event.model


def _answered(event: UsageEvent, metadata: JSONObject) -> str:
    told = _name(metadata.get("answered_model")) or _name(metadata.get("upstream_model"))
    return told or (event.model if "requested_model" in metadata else "")


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


def _without(metadata: JSONObject) -> JSONObject:
    return {name: value for name, value in metadata.items() if name not in (ANSWERED_BY, ASKED_FOR)}
