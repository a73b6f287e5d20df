"""The Errors view, gathered: each kind of failure as a line that leads to its calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.urls import reverse

from logs.filters.usage_filter import CAUSE_WORDS, EACH
from logs.listing import failures
from logs.listing.table import Failed
from logs.models import failure_word
from logs.selection.chosen import Selection
from routescope.data.ranges import MINUTE, floor
from routescope.data.scopes import Scope
from routescope.filters.address import Address

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter

_MOST_MODELS = 3
_WORDS = {cause.value: word for word, cause in CAUSE_WORDS.items()}


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Failures that are the same. ``example`` is the newest of them, ``record_url`` its page; ``each`` leads
    to those of its cause within its time. ``models`` are names, ``further_models`` how many are not named.
    """

    example: Failed
    cause: str
    models: Sequence[str]
    further_models: int
    count: int
    first: datetime
    last: datetime
    record_url: str
    each: Address


@dataclass(frozen=True, slots=True)
class Gathering:
    """The kinds, most frequent first; what it is of is said as in `logs.listing.failures.FailureKinds`."""

    kinds: Sequence[ErrorKind]
    of: int
    others: int
    reached: datetime | None


def gathering(scope: Scope, filters: UsageFilter, selection: Selection) -> Gathering:
    """Return the selection's failures gathered. ``selection`` holds failures alone."""
    found = failures.gathered(scope, selection)
    names = filters.vocabulary.models.of
    kinds = []
    for kind in found.kinds:
        models = [names[model] for model in kind.models if model in names]
        first = kind.first or kind.last
        kinds.append(
            ErrorKind(
                example=kind.newest,
                cause=str(failure_word(kind.newest.cause)),
                models=models[:_MOST_MODELS],
                further_models=max(len(models) - _MOST_MODELS, 0),
                count=kind.count,
                first=first,
                last=kind.last,
                record_url=reverse("usage-record", args=[kind.newest.id]) + filters.whole.query,
                each=_each(filters.address, kind.newest.cause, models, first, kind.last),
            )
        )
    return Gathering(kinds, found.of, found.others, found.reached)


def _each(address: Address, cause: int, models: Sequence[str], first: datetime, last: datetime) -> Address:
    narrowed = address.with_(errors=EACH)
    if cause in _WORDS:
        narrowed = narrowed.with_(cause=_WORDS[cause])
    if len(models) == 1:
        narrowed = narrowed.with_(model=models[0])
    return narrowed.between(floor(first, MINUTE), floor(last, MINUTE) + MINUTE)
