"""What the chart can draw: each metric with its words, its unit and what of a sum it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.rollups import percentiles
from logs.rollups.buckets import Bucket, Peak
from logs.rollups.series import Sum
from logs.rollups.sketches import Measure
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope


class Stack(models.TextChoices):
    """What the bars of the chart are divided by."""

    MODEL = "model", _("By model")
    TOKEN = "token", _("By token")
    GROUP = "group", _("By group")

    @property
    def column(self) -> str:
        """The column of records and sums."""
        return f"{self.value}_id"


class MetricUnit(StrEnum):
    """In what a metric is counted: requests or tokens, USD, milliseconds, tokens per second."""

    COUNT = "count"
    MONEY = "money"
    DURATION = "duration"
    RATE = "rate"


Spread = tuple[datetime, float, float, float, int]
"""A bar's start, p50, p95 and p99 of the calls in it, and how many these are."""
OverTime = Callable[[Scope, Selection, timedelta, datetime], Sequence[Spread]]
"""Reads percentiles in bars of a length from a moment on; none where there is too much to read."""


@dataclass(frozen=True, slots=True)
class Metric:
    """``of`` is its amount in a sum, ``peak`` a bucket's busiest minute, ``over_time`` reads percentiles:
    a metric has one of the three. Only sums are stacked, and add up to the header's figure.
    """

    label: StrPromise
    unit: MetricUnit = MetricUnit.COUNT
    of: Callable[[Sum], Decimal | int] | None = None
    peak: Callable[[Bucket], Peak] | None = None
    over_time: OverTime | None = None


def _spread(measure: Measure) -> OverTime:
    def read(scope: Scope, selection: Selection, step: timedelta, first: datetime) -> Sequence[Spread]:
        found = percentiles.over_time(scope, selection, measure, step, first) or []
        return [(start, one.p50, one.p95, one.p99, one.count) for start, one in found]

    return read


METRICS: Mapping[str, Metric] = {
    "requests": Metric(_("Requests"), of=lambda one: one.requests),
    "tokens": Metric(_("Tokens"), of=lambda one: one.tokens),
    "cost": Metric(_("Cost"), MetricUnit.MONEY, of=lambda one: one.cost),
    "rpm": Metric(_("Peak RPM"), peak=lambda bucket: bucket.peak_rpm),
    "tpm": Metric(_("Peak TPM"), peak=lambda bucket: bucket.peak_tpm),
    "duration": Metric(_("Duration"), MetricUnit.DURATION, over_time=_spread(Measure.DURATION)),
    "ttft": Metric(_("First token"), MetricUnit.DURATION, over_time=_spread(Measure.TTFT)),
    "speed": Metric(_("Tokens per second"), MetricUnit.RATE, over_time=_spread(Measure.SPEED)),
}
"""The metrics by the word of the address. What stands here is in the chart's menu."""
DEFAULT = "requests"
