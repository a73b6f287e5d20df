"""The figures that lines are compared and sorted by: of their sums, and of how long their calls took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.rollups.own_sums import Totals
from logs.rollups.sketches import Measure, Percentiles


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """What is told of a line: its sums, and how long its calls took, as far as that is known."""

    totals: Totals
    latency: Mapping[Measure, Percentiles] = field(default_factory=dict)

    @property
    def duration(self) -> Percentiles | None:
        return self.latency.get(Measure.DURATION)

    @property
    def ttft(self) -> Percentiles | None:
        return self.latency.get(Measure.TTFT)

    @property
    def p50(self) -> float | None:
        """The duration that half of the calls do not exceed, in ms."""
        return self.duration.p50 if self.duration else None

    @property
    def p95(self) -> float | None:
        """The duration that 95 of a hundred calls do not exceed, in ms."""
        return self.duration.p95 if self.duration else None


@dataclass(frozen=True, slots=True)
class Figure:
    """``of`` returns the figure of a line, None where it has none: USD, a share of 1, or ms."""

    of: Callable[[ComparedLine], Decimal | float | None]
    label: StrPromise
    hint: StrPromise | str = ""


FIGURES: Mapping[str, Figure] = {
    "requests": Figure(lambda line: line.totals.requests, _("Requests")),
    "success": Figure(
        lambda line: line.totals.success_rate, _("Success"), _("The share of requests that succeeded")
    ),
    "input": Figure(
        lambda line: line.totals.input_tokens, _("Input"), _("Input tokens, cached ones included")
    ),
    "output": Figure(lambda line: line.totals.output_tokens, _("Output"), _("Output tokens")),
    "ratio": Figure(
        lambda line: line.totals.input_per_output, _("In : out"), _("Input tokens for each output token")
    ),
    "cached": Figure(
        lambda line: line.totals.cached_share,
        _("Cached"),
        _("The share of input tokens that came from a cache"),
    ),
    "p50": Figure(
        lambda line: line.p50,
        _("p50"),
        _("Half of the requests took no longer than this"),
    ),
    "p95": Figure(
        lambda line: line.p95,
        _("p95"),
        _("95 of 100 requests took no longer than this"),
    ),
    "cost": Figure(lambda line: line.totals.cost, _("Cost"), _("In USD, refunds netted")),
    "per_request": Figure(
        lambda line: line.totals.cost_per_request, _("Per request"), _("Cost divided by requests")
    ),
    "per_million": Figure(
        lambda line: line.totals.cost_per_million,
        _("Per 1M tokens"),
        _("Cost of a million tokens, input and output together"),
    ),
}
LATENCIES = frozenset(("p50", "p95"))
"""Those of how long calls took."""
SORTS = tuple(f"{sign}{key}" for key in ("name", *FIGURES) for sign in ("", "-"))
"""What ``sort`` may say: a figure or the line's name, with a minus for the largest first."""
