"""What the database holds of usage: records, their sums, their content, prices, and how records arrive."""

from logs.models.arrivals import ImportPosition, KnownSpan, SpanContent
from logs.models.content import ContentPolicy, Level, UsageContent
from logs.models.deployments import Deployment
from logs.models.further_ids import FurtherId
from logs.models.latencies import Latencies, LatencyPart, PeriodUnit
from logs.models.marks import UsageMark
from logs.models.offered import OfferedValue
from logs.models.prices import GroupRatio, ModelPrice
from logs.models.records import (
    ADJUSTMENTS,
    CALLS,
    FAILED,
    MONEY_DIGITS,
    MONEY_PLACES,
    REFUNDS,
    REQUEST_TYPES,
    Cause,
    RecordType,
    Status,
    UsageRecord,
    failure_word,
    status_word,
)
from logs.models.rollups import (
    Rollup,
    Slices,
    TrafficHour,
    TrafficSlice,
    UnboundedDay,
    UncountedDay,
    UsageDay,
    UsageDayFolded,
    UsageHour,
    UsageHourFolded,
    UsageMinutePending,
    UsagePending,
    UsageTotalDay,
    UsageTotalDayFolded,
    UsageTotalHour,
    UsageTotalHourFolded,
    UsageTotalMinute,
    UsageTotalMinuteFolded,
)
from logs.models.unusual import UnusualHour, UnusualUntil

__all__ = [
    "ADJUSTMENTS", "CALLS", "FAILED", "MONEY_DIGITS", "MONEY_PLACES", "REFUNDS", "REQUEST_TYPES", "Cause",
    "ContentPolicy", "Deployment", "FurtherId", "GroupRatio", "ImportPosition", "KnownSpan", "Latencies",
    "LatencyPart", "Level", "ModelPrice", "OfferedValue", "PeriodUnit", "RecordType", "Rollup", "Slices",
    "SpanContent", "Status", "TrafficHour", "TrafficSlice", "UnboundedDay", "UncountedDay", "UnusualHour",
    "UnusualUntil", "UsageContent", "UsageDay", "UsageDayFolded", "UsageHour", "UsageHourFolded", "UsageMark",
    "UsageMinutePending", "UsagePending", "UsageRecord", "UsageTotalDay", "UsageTotalDayFolded",
    "UsageTotalHour", "UsageTotalHourFolded", "UsageTotalMinute", "UsageTotalMinuteFolded", "failure_word",
    "status_word",
]  # fmt: skip
