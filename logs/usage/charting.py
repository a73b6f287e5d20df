"""Which chart a page shows: its metric, what its bars are divided by, and the period before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.utils.translation import gettext as _

from logs.filters.usage_filter import WITHOUT, UsageFilter
from logs.rollups import own_sums, series, traffic
from logs.rollups.buckets import Bucket
from logs.rollups.metrics import DEFAULT, METRICS, Metric, MetricUnit, Stack
from logs.rollups.own_sums import Totals
from logs.rollups.series import Sum
from logs.rollups.traffic import Traffic
from logs.selection import lookback
from logs.selection.chosen import Selection
from logs.usage.chart import Chart
from logs.usage.chart_parts import Amount, Before, Layer, Plotted, Ways
from logs.usage.named import narrowed
from routescope.data.partitions import Month
from routescope.data.ranges import MINUTE, TimeRange, floor
from routescope.filters.address import Address
from routescope.filters.filter_set import CUSTOM, Link
from routescope.text import formatting

MOST_LAYERS = 5
"""Models, tokens or groups with a colour of their own; the others share one."""


def chart_of(
    filters: UsageFilter,
    selection: Selection | None = None,
    totals: Totals | None = None,
    *,
    usual: str = DEFAULT,
    is_drawn: bool = True,
) -> Chart:
    """Return the chart of a selection, or of what the filters select, with the limits of its one token.

    ``totals`` are its sums, where they are known. ``usual`` is the metric of a page whose address names none;
    what is not ``is_drawn`` has its figures per minute alone.
    """
    scope = filters.scope
    selection = lookback.newest(scope, selection or filters.selection)
    records = totals.records if totals else None
    found = traffic.traffic(scope, selection, filters.now, records, series.step_of)
    word = filters.charted or usual
    if is_drawn:
        plotted = _Plot(filters, selection, found, records, word).plotted()
    else:
        plotted = Plotted(word, series.step_of(found.whole), before=period_before(filters, selection, found))
    token = filters.one_token
    return Chart(
        found,
        plotted,
        rpm_limit=token.rpm_limit if token else None,
        tpm_limit=token.tpm_limit if token else None,
        ways=_ways(filters, word, usual),
    )


def _ways(filters: UsageFilter, word: str, usual: str) -> Ways:
    """Return the ways from a chart to others."""
    here = filters.address.with_(chart="" if word == usual else word)
    return Ways(
        here=here,
        data=filters.fixed_address(filters.now).with_(chart=word),
        metrics=[
            Link(
                filters.address.with_(
                    chart="" if key == usual else key, stack=here.one("stack") if metric.of else ""
                ),
                str(metric.label),
                key == word,
            )
            for key, metric in METRICS.items()
        ],
        stacks=[
            Link(here.with_(stack=value), str(label), value == (filters.stacked_by or ""))
            for value, label in (("", _("Total")), *Stack.choices)
        ]
        if METRICS[word].of
        else [],
        zoomed_out=zoomed_out(filters, here),
    )


def period_before(filters: UsageFilter, selection: Selection, found: Traffic) -> Before | None:
    """Return the period just before the range, as long as it: one query.

    None where nothing can be said of it: it holds nothing, or began before what is kept; the range has no
    bound, or of it only the newest records were looked at.
    """
    chosen, length = selection.chosen, selection.chosen.length
    if selection.bounds or selection.looked is not None or chosen.start is None or not length:
        return None
    kept = Month.of(filters.now).plus(-settings.RECORD_RETENTION_MONTHS).start
    if chosen.start - kept < length:
        return None
    before = TimeRange(chosen.start - length, chosen.start)
    totals = own_sums.totals(filters.scope, replace(selection, chosen=before))
    return Before(before, totals) if totals.records else None


def zoomed_out(filters: UsageFilter, here: Address) -> Address | None:
    """Return the address of a range twice as long around a custom one, up to the present at most."""
    start, end = (filters.selection.chosen.start, filters.selection.chosen.end)
    if filters.preset != CUSTOM or start is None or end is None or start >= end:
        return None
    length = max(end - start, MINUTE)
    wider = min(end + length / 2, max(filters.until, end))
    begins = floor(wider - 2 * length, MINUTE)
    return here.between(begins, max(floor(wider, MINUTE), end))


class _Plot:
    """What is drawn of a selection."""

    def __init__(
        self, filters: UsageFilter, selection: Selection, found: Traffic, records: int | None, word: str
    ) -> None:
        self._filters, self._selection, self._found, self._records = filters, selection, found, records
        self._word, self._metric = word, METRICS[word]
        self._stack = filters.stacked_by if self._metric.of else None

    def plotted(self) -> Plotted:
        metric, found = self._metric, self._found
        before = period_before(self._filters, self._selection, found)
        step = series.step_of(found.whole)
        if metric.over_time:
            step = series.step_of_lines(found.whole)
            first = traffic.origin(found.whole, step)
            selection = replace(self._selection, chosen=found.whole)
            lines = metric.over_time(self._filters.scope, selection, step, first)
            return Plotted(self._word, step, lines=lines, before=before)
        if metric.peak:
            layer = Layer(self._word, str(metric.label), _peaks(found.buckets, metric, self._place(step)))
            return Plotted(self._word, step, [layer], before=before)
        if self._word == "requests" and not self._stack and not found.is_part:
            # Counted by the minute already.
            buckets = [
                Sum(one.start, 0, one.requests, one.errors, one.rate_limited, one.tokens, Decimal(0))
                for one in found.buckets
            ]
            layers = self._by_outcome(buckets, self._place(step))
        else:
            summed = self._summed(self._selection, found.whole, self._records)
            step = summed.step
            layers = self._divided(summed.sums, self._place(step))
        return Plotted(
            self._word, step, layers, ghost=self._ghost(before, step), before=before,
            is_stacked=self._stack is not None,
        )  # fmt: skip

    def _summed(self, selection: Selection, chosen: TimeRange, records: int | None) -> series.Series:
        return series.series(
            self._filters.scope,
            selection,
            chosen,
            self._stack.column if self._stack else "",
            has_cost=self._metric.unit is MetricUnit.MONEY,
            records=records,
        )

    def _place(self, step: timedelta) -> Callable[[datetime], int]:
        """Return what tells the place of a bar by its start."""
        first = traffic.origin(self._found.whole, step)
        return lambda start: (start - first) // step

    def _divided(self, sums: Sequence[Sum], place: Callable[[datetime], int]) -> list[Layer]:
        if self._stack:
            return self._by_value(sums, place, self._stack)
        if self._word == "requests":
            return self._by_outcome(sums, place)
        return [Layer(self._word, str(self._metric.label), self._values(sums, place))]

    def _values(self, sums: Iterable[Sum], place: Callable[[datetime], int]) -> dict[int, Amount]:
        amount = self._metric.of
        values: dict[int, Amount] = defaultdict(int)
        for one in sums:
            if amount and (value := amount(one)):
                values[place(one.start)] += value
        return dict(values)

    def _by_outcome(self, sums: Sequence[Sum], place: Callable[[datetime], int]) -> list[Layer]:
        """Divide requests by what became of them, the failed ones on top."""
        limited = {place(one.start): min(one.rate_limited, one.errors) for one in sums if one.rate_limited}
        errors = {
            place(one.start): one.errors - one.rate_limited for one in sums if one.errors > one.rate_limited
        }
        success = {place(one.start): one.requests - one.errors for one in sums if one.requests > one.errors}
        address = self._filters.address.without("errors")
        layers = [Layer("success", _("Success"), success, address.with_(status="success"))]
        if limited:
            layers.append(
                Layer("limited", _("Rate limited (429)"), limited, address.with_(cause="rate_limit"))
            )
            # No filter means all errors but these.
            layers.append(Layer("error", _("Other errors"), errors))
        else:
            layers.append(Layer("error", _("Errors"), errors, address.with_(status="error")))
        return [layer for layer in layers if layer.values] or layers[:1]

    def _by_value(self, sums: Sequence[Sum], place: Callable[[datetime], int], stack: Stack) -> list[Layer]:
        """Divide by the values with the largest sums, and all others together."""
        vocabulary = self._filters.vocabulary
        known = {
            Stack.MODEL: vocabulary.models, Stack.TOKEN: vocabulary.tokens, Stack.GROUP: vocabulary.groups,
        }[stack]  # fmt: skip
        known.learn({one.value for one in sums})
        # What goes by one name is one: a filter by the name means all of it.
        named: dict[str, list[Sum]] = defaultdict(list)
        for one in sums:
            named[_name(one.value, stack, known.of)].append(one)
        amounts = {name: self._values(found, place) for name, found in named.items()}
        order = sorted(
            (name for name, values in amounts.items() if values),
            key=lambda name: (-sum(amounts[name].values()), name),
        )
        looks = [f"part-{number}" for number in range(1, MOST_LAYERS + 1)]
        if len(order) == MOST_LAYERS + 1:
            # No one stands for others.
            looks.append("other")
        layers = [
            Layer(
                look,
                name,
                amounts[name],
                narrowed(self._filters.address, stack.value, named[name][0].value, known.of),
            )
            for look, name in zip(looks, order, strict=False)
        ]
        if rest := order[len(looks) :]:
            label = _("Other (%(n)s)") % {"n": formatting.exact(len(rest))}
            others = [one for name in rest for one in named[name]]
            layers.append(Layer("other", label, self._values(others, place)))
        return layers

    def _ghost(self, before: Before | None, step: timedelta) -> Mapping[int, Amount]:
        """Return the bars of the period before, laid over those of the range."""
        if before is None or before.chosen.start is None or before.chosen.length is None:
            return {}
        scope, selection = self._filters.scope, replace(self._selection, chosen=before.chosen)
        has_cost = self._metric.unit is MetricUnit.MONEY
        least = series.least_step(
            scope, selection, before.chosen, has_cost=has_cost, records=before.totals.records
        )
        if least > step:
            return {}
        # Moved by whole bars, so that hours are read as such.
        moved = -(-before.chosen.length // step) * step
        first = traffic.origin(self._found.whole, step) - moved
        if self._word == "requests":
            counted = series.requests(scope, selection, before.chosen, step, first)
            return {(start - first) // step: count for start, count in counted.items() if count}
        sums = series.sums(scope, selection, [before.chosen], step, first, has_cost=has_cost)
        return self._values(sums, lambda start: (start - first) // step)


def _peaks(buckets: Sequence[Bucket], metric: Metric, place: Callable[[datetime], int]) -> dict[int, Amount]:
    values: dict[int, Amount] = {}
    for one in buckets:
        if metric.peak:
            index = place(one.start)
            values[index] = max(values.get(index, 0), metric.peak(one).value)
    return values


def _name(value: int, stack: Stack, names: Mapping[int, str]) -> str:
    return names.get(value) or str(WITHOUT[stack.value] if not value else formatting.UNKNOWN)
