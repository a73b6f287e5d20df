"""What the chart draws of each metric: heights, parts, the scale, the period before; and its ways."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Gateway, User
from logs.rollups import metrics, series, traffic
from logs.rollups.metrics import METRICS, Metric, Unit
from logs.selection.chosen import Selection
from logs.usage import chart_paths
from logs.usage.chart import Chart
from logs.usage.chart_parts import Layer, Plotted
from logs.usage.chart_scale import Track, is_uneven, nice
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store

pytestmark = pytest.mark.django_db

PAGE = "/records/usage/"
A_DAY = {"start": "2026-03-10T12:00Z", "end": "2026-03-11T12:00Z"}


def drawn(user: User, chosen: TimeRange, plotted: Plotted) -> Chart:
    found = traffic.traffic(Scope.own(user), Selection(chosen), NOON, steps=series.step_of)
    return Chart(found, plotted)


# --- Scales and paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (HOUR, MINUTE),
        (DAY, 10 * MINUTE),
        (2 * DAY, 15 * MINUTE),
        (2 * DAY + MINUTE, HOUR),
        (7 * DAY, HOUR),
        (30 * DAY, 4 * HOUR),
        (90 * DAY, DAY),
        (2000 * DAY, 28 * DAY),
    ],
)
def test_bars_are_as_short_as_leaves_them_six_pixels(length: timedelta, step: timedelta) -> None:
    assert series.step_of(TimeRange(NOON, NOON + length)) == step
    assert length / step <= series.MOST_BARS


@given(st.floats(0, 1e12))
def test_a_scale_ends_on_a_round_number_not_far_above(value: float) -> None:
    top = nice(value)
    assert max(value, 2) <= top <= max(value, 1) * 2.01
    assert str(top).rstrip("0") in {"1", "2", "3", "4", "5", "6", "8", "12", "15", "25"}


@given(st.decimals(Decimal("0.00000001"), 10**9, places=8))
def test_a_scale_of_money_ends_as_near_however_little_it_is(value: Decimal) -> None:
    top = nice(value, whole=False)
    assert value <= top <= value * Decimal("1.34")


def test_heights_are_as_roots_only_where_a_peak_is_over_twenty_times_the_median() -> None:
    assert not is_uneven([1, 1, 20])
    assert is_uneven([1, 1, 21])
    assert not is_uneven([0, 0, 0, 5]), "what holds nothing is no bar"
    assert not is_uneven([])
    even, root = Track(10, 60, 100), Track(10, 60, 100, is_root=True)
    assert (even.pixel(0), even.pixel(50), even.pixel(100)) == (70, 40, 10)
    assert (root.pixel(0), root.pixel(25), root.pixel(100)) == (70, 40, 10)


def test_a_line_is_broken_where_a_bar_has_no_value_and_one_alone_is_a_dash() -> None:
    track = Track(0, 50, 100)
    assert chart_paths.line(track, {0: 100, 1: 100, 2: 50, 5: 0}) == "M0 0h2V50h1M5 100h1"


def test_an_axis_has_round_local_times(alice: User, gateway: Gateway) -> None:
    store(gateway, event())
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        chart = drawn(alice, TimeRange(NOON - 6 * HOUR, NOON + 6 * HOUR), Plotted("requests", 5 * MINUTE))
        assert [tick.label for tick in chart.ticks] == ["12:00", "14:00", "16:00", "18:00", "20:00", "22:00"]


def test_parts_stand_on_each_other_and_a_refund_has_no_height(alice: User) -> None:
    layers = [
        Layer("part-1", "a", {0: Decimal(6), 1: Decimal(-3)}),
        Layer("part-2", "b", {0: Decimal(4), 1: Decimal(5)}),
    ]
    chart = drawn(alice, TimeRange(NOON, NOON + 2 * HOUR), Plotted("cost", HOUR, layers))
    assert chart.totals == {0: 10, 1: 5}
    # The whole stands behind the part below.
    assert [look for look, _path in chart.paths] == ["part-2", "part-1"]
    assert chart.paths[0][1].startswith("M0 116V0h1")
    assert [label for _y, label in chart.axis] == ["$10", "$5", "0"]
    assert [row.cells for row in chart.rows] == [["$10.00", "$6.00", "$4.00"], ["$2.00", "-$3.00", "$5.00"]]
    assert chart.data["buckets"] == [[0, 10, [6, 4], None, None], [1, 2, [-3, 5], None, None]]


def test_the_scale_says_where_heights_are_as_roots(alice: User) -> None:
    values = {index: Decimal(1) for index in range(9)} | {9: Decimal(100)}
    chart = drawn(
        alice, TimeRange(NOON, NOON + 10 * HOUR), Plotted("tokens", HOUR, [Layer("tokens", "t", values)])
    )
    assert "square-root scale" in chart.scale_note
    (top, most), (middle, half), (bottom, nothing) = chart.axis
    assert (most, half, nothing) == ("100", "50", "0")
    assert middle == pytest.approx(bottom - (bottom - top) * 0.5**0.5, abs=0.1)


def test_percentiles_are_lines(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """With values in hand: a metric that offers them is in the menu once it stands in the registry."""
    lines = [
        (NOON, 800.0, 2000.0, 4000.0, 12),
        (NOON + HOUR, 1000.0, 2000.0, 4000.0, 7),
        (NOON + 3 * HOUR, 900.0, 1500.0, 1500.0, 1),
    ]
    slow = Metric(METRICS["cost"].label, Unit.DURATION, over_time=lambda *asked: lines)
    monkeypatch.setitem(METRICS, "duration", slow)
    chart = drawn(alice, TimeRange(NOON, NOON + 5 * HOUR), Plotted("duration", HOUR, lines=lines))
    assert chart.track.most == 4000
    assert dict(chart.lines) == {
        "p99": "M0 0h2M3 72h1",
        "p95": "M0 58h2M3 72h1",
        "p50": "M0 93h1V87h1M3 90h1",
    }
    assert [label for _y, label in chart.axis] == ["4.00 s", "2.00 s", "0 ms"]
    assert chart.columns == ["Highest p50", "Highest p95", "Highest p99", "Calls"]
    assert next(iter(chart.rows)).cells == ["800 ms", "2.00 s", "4.00 s", "12"]
    assert chart.data["buckets"][0] == [0, 12, [800.0, 2000.0, 4000.0], None, None]  # type: ignore[index]


def test_a_metric_of_percentiles_comes_into_menu_and_page_by_the_registry_alone(
    alice_client: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(gateway, event())
    asked: list[tuple[Any, ...]] = []

    def over_time(*given: Any) -> list[metrics.Percentiles]:
        asked.append(given)
        return [(NOON, 800.0, 2000.0, 4000.0, 12)]

    assert "line-p50" not in alice_client.get(PAGE, {**A_DAY, "chart": "duration"}).content.decode()
    slow = Metric(METRICS["cost"].label, Unit.DURATION, over_time=over_time)
    monkeypatch.setitem(METRICS, "duration", slow)
    page = alice_client.get(PAGE, {**A_DAY, "chart": "duration", "stack": "model"}).content.decode()
    assert "line-p50" in page
    [(_scope, selection, word, step, first)] = asked
    assert (word, step, first) == ("duration", 10 * MINUTE, NOON)
    assert selection.chosen == TimeRange(NOON, NOON + DAY)
    assert "menu-chart-stack" not in page, "lines are not stacked"
