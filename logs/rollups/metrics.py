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

from logs.rollups.series import Sum
from logs.rollups.traffic import Bucket, Peak
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


class Measure(StrEnum):
    """In what a metric is counted: requests or tokens, USD, milliseconds, tokens per second."""

    COUNT = "count"
    MONEY = "money"
    DURATION = "duration"
    RATE = "rate"


Percentiles = tuple[datetime, float, float, float, int]
"""A bar's start, p50, p95 and p99 of the calls in it, and how many these are."""
OverTime = Callable[[Scope, Selection, str, timedelta, datetime], Sequence[Percentiles]]
"""Reads the percentiles of a metric, by its word, in bars of a length from a moment on."""


@dataclass(frozen=True, slots=True)
class Metric:
    """``of`` is its amount in a sum, ``peak`` a bucket's busiest minute, ``over_time`` reads percentiles:
    a metric has one of the three. Only sums are stacked, and add up to the header's figure.
    """

    label: StrPromise
    unit: Measure = Measure.COUNT
    of: Callable[[Sum], Decimal | int] | None = None
    peak: Callable[[Bucket], Peak] | None = None
    over_time: OverTime | None = None


METRICS: Mapping[str, Metric] = {
    "requests": Metric(_("Requests"), of=lambda one: one.requests),
    "tokens": Metric(_("Tokens"), of=lambda one: one.tokens),
    "cost": Metric(_("Cost"), Measure.MONEY, of=lambda one: one.cost),
    "rpm": Metric(_("Peak RPM"), peak=lambda bucket: bucket.peak_rpm),
    "tpm": Metric(_("Peak TPM"), peak=lambda bucket: bucket.peak_tpm),
}
"""The metrics by the word of the address. What stands here is in the chart's menu."""
DEFAULT = "requests"
