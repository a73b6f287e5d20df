"""Did the model answer that was asked for? Told as a record comes in, and kept in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from logs.models import REQUEST_TYPES, Status
from logs.models.deployments import StandsFor, stands_for
from logs.models.events import JSONObject, UsageEvent
from logs.models.marks import ANSWERED_BY, ASKED_FOR
from logs.pricing.same_model import is_another_behind


class Pair(NamedTuple):
    """The model that was asked for, and the one that answered."""

    asked: str
    answered: str


def tell(events: Iterable[UsageEvent]) -> None:
    """Say of each call that another model answered which it was; of what was said before nothing stays.

    Formats keep what they know under names of their own: ``answered_model`` is what the answer itself names,
    ``upstream_model`` to which the gateway led the call, ``requested_model`` what the client asked for where
    the record has another one. What an admin says that a name stands for holds (`logs.models.deployments`).
    """
    pairs: list[tuple[UsageEvent, Pair]] = []
    for event in events:
        if not event.metadata:
            continue
        pair = pair_of(event.model, event.metadata)
        event.metadata = without(event.metadata) or None
        if pair and event.status is Status.SUCCESS and event.type in REQUEST_TYPES:
            pairs.append((event, pair))
    behind = stands_for({name for _event, pair in pairs for name in pair})
    for event, pair in pairs:
        event.metadata = told(event.metadata or {}, pair, behind) or None


def pair_of(model: str, metadata: Mapping[str, Any]) -> Pair | None:
    """Return both models of a call with this model and metadata; None where it names one alone."""
    asked = _name(metadata.get("requested_model")) or model
    answered = _name(metadata.get("answered_model")) or _name(metadata.get("upstream_model"))
    answered = answered or (model if "requested_model" in metadata else "")
    return Pair(asked, answered) if asked and answered and asked != answered else None


def told(metadata: JSONObject, pair: Pair | None, behind: StandsFor) -> JSONObject:
    """Return a successful call's metadata, which names both models where they are two."""
    metadata = without(metadata)
    if pair and is_another_behind(pair.asked, pair.answered, behind):
        return {**metadata, ASKED_FOR: pair.asked, ANSWERED_BY: pair.answered}
    return metadata


def without(metadata: JSONObject) -> JSONObject:
    """Return metadata that says nothing of it."""
    if ANSWERED_BY not in metadata and ASKED_FOR not in metadata:
        return metadata
    return {name: value for name, value in metadata.items() if name not in (ANSWERED_BY, ASKED_FOR)}


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""
