"""The periods of which latencies are kept, and under whom."""

from __future__ import annotations

from datetime import UTC, datetime

from logs.models import PeriodUnit
from routescope.data.ranges import DAY, HOUR

EVERYONE = 0
"""The user under whom everybody's periods stand."""
EVERYONE_BY = {"model_id": -1, "group_id": -2, "status": -3}
"""The same divided by one column alone: far fewer parts than by all of them."""

LENGTHS = {
    PeriodUnit.HOUR: HOUR, PeriodUnit.SIX_HOURS: 6 * HOUR, PeriodUnit.DAY: DAY, PeriodUnit.WEEK: 7 * DAY,
}  # fmt: skip
BLOCKS = {PeriodUnit.SIX_HOURS: PeriodUnit.HOUR, PeriodUnit.WEEK: PeriodUnit.DAY}
"""The periods that are added up of shorter ones, and of which."""
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
"""From where periods are counted: weeks begin on Mondays."""


def start_of(unit: PeriodUnit, moment: datetime) -> datetime:
    """Return when the period that holds a moment begins."""
    return moment - (moment - MONDAY) % LENGTHS[unit]
