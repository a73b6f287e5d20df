"""Usage on the admin's index: today's figures from the rollups, and models without a price."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from accounts.models import AIModel
from logs.models import Status, UsageTotalDay
from logs.rollups import everyones_sums
from logs.rollups.own_sums import Totals
from logs.selection.chosen import Selection
from routescope.admin import board, whole_hours
from routescope.admin.board import Fact, Kind, Left, Matter
from routescope.data.ranges import DAY, Preset, floor, preset_range
from routescope.text import formatting

UNPRICED_DAYS = 30
"""Days in which a call without a price is asked about."""


def sums_of(preset: Preset) -> Totals:
    """Return everybody's sums of a preset, of whole hours as the list's are: from the rollups alone."""
    chosen = preset_range(preset, timezone.now(), timezone.get_current_timezone())
    return everyones_sums.totals(Selection(chosen=whole_hours(chosen)))


def _today() -> list[Fact]:
    today, before = sums_of(Preset.TODAY), sums_of(Preset.YESTERDAY)
    listed = f"{reverse('admin:logs_usagerecord_changelist')}?range={Preset.TODAY}"
    failed = None if today.success_rate is None else 1 - today.success_rate
    unpriced = _("%(n)s without a price") % {"n": formatting.exact(today.unpriced)} if today.unpriced else ""
    return [
        Fact(
            _("Requests today"),
            formatting.exact(today.requests),
            listed,
            _yesterday(formatting.exact(before.requests)),
        ),
        Fact(
            _("Failed"),
            formatting.exact(today.errors),
            f"{listed}&status={Status.ERROR}",
            _("%(share)s of all") % {"share": formatting.percent(failed)} if failed is not None else "",
            bool(today.errors),
        ),
        Fact(
            _("Cost"),
            formatting.money(today.cost),
            listed,
            unpriced or _yesterday(formatting.money(before.cost)),
        ),
        Fact(
            _("Input tokens"),
            formatting.tokens(today.input_tokens),
            listed,
            _("%(share)s cached") % {"share": formatting.percent(today.cached_share)}
            if today.cached_share is not None
            else "",
        ),
        Fact(
            _("Output tokens"),
            formatting.tokens(today.output_tokens),
            listed,
            _yesterday(formatting.tokens(before.output_tokens)),
        ),
    ]


def _yesterday(shown: str) -> str:
    return _("%(figure)s yesterday") % {"figure": shown}


def unpriced_models() -> list[tuple[int, int]]:
    """Return models with calls without a price, and how many of the last days, the most first. One query,
    over the rollups' days.
    """
    since = floor(timezone.now(), DAY) - timedelta(days=UNPRICED_DAYS)
    rows = (
        UsageTotalDay.objects.filter(start__gte=since, model_id__gt=0)
        .order_by()
        .values_list("model_id")
        .annotate(calls=Sum("unpriced"))
        .filter(calls__gt=0)
    )
    return list(rows.order_by("-calls", "model_id")[: board.MOST])


def _unpriced(left: Left) -> list[Matter]:
    found = unpriced_models()
    names = AIModel.objects.in_bulk([model for model, _calls in found])
    listed, price = reverse("admin:logs_usagerecord_changelist"), reverse("admin:logs_modelprice_add")
    return [
        Matter(
            str(model),
            str(names.get(model, f"#{model}")),
            f"{listed}?range={Preset.MONTH}&model={model}",
            ngettext(
                "%(n)s call of the last %(days)s days has no known price: it adds nothing to any sum.",
                "%(n)s calls of the last %(days)s days have no known price: they add nothing to any sum.",
                calls,
            )
            % {"n": formatting.exact(calls), "days": UNPRICED_DAYS},
            _("Add a price"),
            f"{price}?model={model}",
        )
        for model, calls in found
    ]


board.tell_today("usage", 10, "logs.view_usagerecord", _today)
board.to_settle(
    Kind(
        "unpriced",
        20,
        _lazy("Models without a price"),
        _lazy("A price that you enter also prices the calls that waited for it."),
        "logs.view_usagerecord",
        "logs.add_modelprice",
        _unpriced,
    )
)
