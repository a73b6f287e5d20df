"""Everything that the details of one record show beside the record itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from logs.causes import Verdict, verdict_on
from logs.models import UsageRecord


@dataclass(frozen=True, slots=True)
class Details:
    """``verdict`` is None for a call that succeeded."""

    verdict: Verdict | None


def attach(records: Sequence[UsageRecord]) -> None:
    """Give each record its ``details``."""
    for record in records:
        record.details = Details(verdict=verdict_on(record))
