"""The figures of a sum that lines are compared and sorted by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.rollups.own_sums import Totals


@dataclass(frozen=True, slots=True)
class Figure:
    """``of`` returns the figure of a sum, None where it has none. Money is USD, shares are 0 to 1."""

    of: Callable[[Totals], Decimal | int | None]
    label: StrPromise
    hint: StrPromise | str = ""


FIGURES: Mapping[str, Figure] = {
    "requests": Figure(lambda totals: totals.requests, _("Requests")),
    "success": Figure(
        lambda totals: totals.success_rate, _("Success"), _("The share of requests that succeeded")
    ),
    "input": Figure(lambda totals: totals.input_tokens, _("Input"), _("Input tokens, cached ones included")),
    "output": Figure(lambda totals: totals.output_tokens, _("Output"), _("Output tokens")),
    "ratio": Figure(
        lambda totals: totals.input_per_output, _("In : out"), _("Input tokens for each output token")
    ),
    "cached": Figure(
        lambda totals: totals.cached_share, _("Cached"), _("The share of input tokens that came from a cache")
    ),
    "cost": Figure(lambda totals: totals.cost, _("Cost"), _("In USD, refunds netted")),
    "per_request": Figure(
        lambda totals: totals.cost_per_request, _("Per request"), _("Cost divided by requests")
    ),
    "per_million": Figure(
        lambda totals: totals.cost_per_million,
        _("Per 1M tokens"),
        _("Cost of a million tokens, input and output together"),
    ),
}
SORTS = tuple(f"{sign}{key}" for key in ("name", *FIGURES) for sign in ("", "-"))
"""What ``sort`` may say: a figure or the line's name, with a minus for the largest first."""
