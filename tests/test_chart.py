"""What the chart draws of each metric: heights, parts, the scale, the period before; and its ways."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ApiToken, Gateway, User
from logs.models import RecordType, Status
from logs.rollups import series, traffic
from logs.rollups.metrics import METRICS, Metric, MetricUnit
from logs.rollups.sketches import ERROR
from logs.selection.chosen import Selection
from logs.usage import chart_paths
from logs.usage.chart import Chart
from logs.usage.chart_parts import Layer, Plotted
from logs.usage.chart_scale import Track, is_uneven, nice
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, store
from tests.test_traffic import stats

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
        (2 * DAY, 20 * MINUTE),
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
    assert chart.paths[0][1].startswith("M0 112V0h1")
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
    assert (most, half, nothing) == ("100", "25", "0")
    assert middle == (top + bottom) / 2, "at its true height, the root of a quarter"


def test_percentiles_are_lines(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """With values in hand: a metric that offers them is in the menu once it stands in the registry."""
    lines = [
        (NOON, 800.0, 2000.0, 4000.0, 12),
        (NOON + HOUR, 1000.0, 2000.0, 4000.0, 7),
        (NOON + 3 * HOUR, 900.0, 1500.0, 1500.0, 1),
    ]
    slow = Metric(METRICS["cost"].label, MetricUnit.DURATION, over_time=lambda *asked: lines)
    monkeypatch.setitem(METRICS, "duration", slow)
    chart = drawn(alice, TimeRange(NOON, NOON + 5 * HOUR), Plotted("duration", HOUR, lines=lines))
    assert chart.track.most == 4000
    assert dict(chart.lines) == {
        "p99": "M0 0h2M3 70h1",
        "p95": "M0 56h2M3 70h1",
        "p50": "M0 90h1V84h1M3 87h1",
    }
    assert [label for _y, label in chart.axis] == ["4 s", "2 s", "0 ms"]
    assert chart.columns == ["Highest p50", "Highest p95", "Highest p99", "Calls"]
    assert next(iter(chart.rows)).cells == ["800 ms", "2.00 s", "4.00 s", "12"]
    assert chart.data["buckets"][0] == [0, 12, [800.0, 2000.0, 4000.0], None, None]  # type: ignore[index]


def test_percentiles_are_drawn_over_the_bars_of_the_chart_and_are_not_stacked(
    alice_client: Client, gateway: Gateway
) -> None:
    took = [100, 200, 300, 4000]
    store(
        gateway,
        *(
            event(created_at=NOON + timedelta(minutes=60 + number), duration_ms=one)
            for number, one in enumerate(took)
        ),
    )
    page = alice_client.get(PAGE, {**A_DAY, "chart": "duration", "stack": "model"}).content.decode()
    assert "line-p50" in page
    assert "menu-chart-stack" not in page, "lines are not stacked"
    data = alice_client.get(f"{PAGE}chart/", {**A_DAY, "chart": "duration"}).json()
    [(place, count, (p50, p95, p99), *_rest)] = data["buckets"]
    assert (place, count) == (6, 4)
    for told, exact in ((p50, 200), (p95, 4000), (p99, 4000)):
        assert abs(told - exact) <= ERROR * exact
    none = alice_client.get(PAGE, {**A_DAY, "chart": "ttft"}).content.decode()
    assert "line-p50" not in none


# --- On the page -----------------------------------------------------------------------------------------


@pytest.fixture
def two_days(gateway: Gateway, alice: User) -> None:
    """A day of Alice's: 40 calls of seven models, some refused, one failed, a refund; half as much before."""
    for day, count in ((1, 40), (0, 20)):
        for number in range(count):
            refused = number in (3, 5)
            store(
                gateway,
                event(
                    created_at=NOON + (day - 1) * DAY + timedelta(minutes=31 * number, seconds=number),
                    model=f"m{min(number % 9, 6)}",
                    token="prod" if number % 2 else "ci",
                    cost=Decimal("0.5"),
                    status=Status.ERROR if refused or number == 8 else Status.SUCCESS,
                    http_status=429 if refused else 500 if number == 8 else 200,
                ),
            )
    store(
        gateway,
        event(
            created_at=NOON + timedelta(minutes=7),
            type=RecordType.REFUND,
            model="m0",
            cost=Decimal("-0.25"),
            input_tokens=0,
            output_tokens=0,
        ),
    )


def legend(page: str) -> list[tuple[str, str]]:
    """Return the chart's keys: look and words."""
    found = re.findall(r'class="key key-([\w-]+)"[^>]*>([^<]+)<', page)
    return [(look, unescape(words)) for look, words in found]


def ways(page: str, menu: str) -> dict[str, str]:
    """Return where a menu of the chart leads to."""
    found = re.search(rf'id="menu-chart-{menu}".*?</details>', page, re.DOTALL)
    assert found
    links = re.findall(r'href="\?([^"]*)"[^>]*>([^<]+)</a>', found[0])
    return {label: unescape(query) for query, label in links}


@pytest.mark.usefixtures("two_days")
def test_requests_are_drawn_by_what_became_of_them(alice_client: Client) -> None:
    page = alice_client.get(PAGE, A_DAY).content.decode()
    assert legend(page) == [
        ("success", "Success 37"),
        ("limited", "Rate limited (429) 2"),
        ("error", "Other errors 1"),
        ("ghost", "Period before"),
    ]
    assert "per 10 min" in page
    for name, listed in (("success", "37"), ("limited", "2")):
        found = re.search(rf'class="key key-{name}"[^>]* href="([^"]+)"', page)
        assert found
        assert stats(alice_client.get(unescape(found[1])))["requests"][0] == listed


@pytest.mark.usefixtures("two_days")
def test_each_of_the_largest_has_a_colour_and_leads_to_its_records(alice_client: Client) -> None:
    page = alice_client.get(PAGE, {**A_DAY, "chart": "cost", "stack": "model"}).content.decode()
    keys = legend(page)
    assert keys[0] == ("part-1", "m6 $6.00")
    assert [look for look, _words in keys] == [*(f"part-{n}" for n in range(1, 6)), "other", "ghost"]
    assert keys[4][1] == "m0 $2.25", "its refund is netted"
    assert keys[5][1] == "Other (2) $4.00"
    found = re.search(r'class="key key-part-1"[^>]* href="([^"]+)"', page)
    assert found
    asked = parse_qs(unescape(found[1]).partition("?")[2])
    assert (asked["model"], asked["chart"], asked["stack"]) == (["m6"], ["cost"], ["model"])
    by_token = legend(alice_client.get(PAGE, {**A_DAY, "stack": "token"}).content.decode())
    assert by_token[:2] == [("part-1", "ci 20"), ("part-2", "prod 20")]


@pytest.mark.usefixtures("two_days")
def test_metric_and_parts_are_of_the_address_and_stay_there(alice_client: Client) -> None:
    page = alice_client.get(PAGE, {**A_DAY, "chart": "cost", "stack": "model"}).content.decode()
    metrics_ways, stacks = ways(page, "metric"), ways(page, "stack")
    assert list(metrics_ways) == [
        *("Requests", "Tokens", "Cost", "Peak RPM", "Peak TPM"),
        *("Duration", "First token", "Tokens per second"),
    ]
    assert "chart=" not in metrics_ways["Requests"]
    assert "stack=model" in metrics_ways["Tokens"]
    assert "stack=" not in metrics_ways["Peak RPM"]
    assert list(stacks) == ["Total", "By model", "By token", "By group"]
    assert "chart=cost" in stacks["By group"] and "stack=group" in stacks["By group"]
    form = re.search(r'<form class="filters".*?</form>', page, re.DOTALL)
    assert form
    assert 'name="chart" value="cost"' in form[0] and 'name="stack" value="model"' in form[0]
    for link in re.findall(r'id="(?:view-list|view-errors|view-compare|reset)" href="([^"]+)"', page):
        assert "chart=cost&amp;stack=model" in link
    swapped = alice_client.get(f"{PAGE}results/", {**A_DAY, "chart": "cost"}, headers={"hx-request": "true"})
    assert "chart=cost" in swapped.headers["HX-Push-Url"]
    export = re.search(r'id="export-link"[^>]* href="([^"]+)"', page)
    assert export and alice_client.get(unescape(export[1])).status_code == 200


@pytest.mark.usefixtures("two_days")
@pytest.mark.parametrize(
    "odd", [{"chart": "weather"}, {"chart": "\x00"}, {"stack": "cause"}, {"stack": ""}, {"chart": "latency"}]
)
def test_what_is_no_metric_means_the_usual_chart_and_is_no_problem(
    alice_client: Client, odd: dict[str, str]
) -> None:
    page = alice_client.get(f"{PAGE}results/", {**A_DAY, **odd}, headers={"hx-request": "true"})
    assert legend(page.content.decode())[0] == ("success", "Success 37")
    assert b"notice-warning" not in page.content
    assert page.headers["HX-Push-Url"] == (f"{PAGE}?start=2026-03-10T12%3A00Z&end=2026-03-11T12%3A00Z")


@pytest.mark.usefixtures("two_days")
def test_every_figure_says_how_it_differs_from_the_period_before(alice_client: Client) -> None:
    page = alice_client.get(PAGE, A_DAY).content.decode()
    changes = re.findall(r'class="stat-change" title="([^"]+)">([^<]+)<', page)
    assert [change for _title, change in changes] == ["+98%", "+100%", "+100%", "+100%"]
    assert changes[1][0] == "20 in the period before, 2026-03-09 12:00:00 to 2026-03-10 12:00:00"
    earliest = {"start": "2026-03-09T12:00Z", "end": "2026-03-10T12:00Z"}
    for query in (earliest, {"range": "all"}, {**A_DAY, "cost_min": "0.1"}):
        assert "stat-change" not in alice_client.get(PAGE, query).content.decode()


@pytest.mark.usefixtures("two_days")
def test_zooming_out_doubles_a_range_round_its_middle(alice_client: Client) -> None:
    narrow = {"start": "2026-03-10T14:00Z", "end": "2026-03-10T16:00Z", "chart": "tokens"}
    found = re.search(r'id="zoom-out" href="([^"]+)"', alice_client.get(PAGE, narrow).content.decode())
    assert found
    asked = parse_qs(unescape(found[1]).partition("?")[2])
    assert asked == {
        "start": ["2026-03-10T13:00Z"], "end": ["2026-03-10T17:00Z"], "chart": ["tokens"],
    }  # fmt: skip
    assert 'id="zoom-out"' not in alice_client.get(PAGE, {"range": "all"}).content.decode()
    upside_down = {"start": narrow["end"], "end": narrow["start"]}
    assert 'id="zoom-out"' not in alice_client.get(PAGE, upside_down).content.decode()


def test_zooming_out_ends_with_the_present(alice_client: Client, gateway: Gateway) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    store(gateway, event(created_at=now - 5 * MINUTE))
    query = {"start": f"{now - 10 * MINUTE:%Y-%m-%dT%H:%MZ}", "end": f"{now:%Y-%m-%dT%H:%MZ}"}
    found = re.search(r'id="zoom-out" href="([^"]+)"', alice_client.get(PAGE, query).content.decode())
    assert found
    asked = parse_qs(unescape(found[1]).partition("?")[2])
    start, end = (datetime.fromisoformat(asked[name][0]) for name in ("start", "end"))
    assert end <= timezone.now() + MINUTE
    assert end - start == 20 * MINUTE


@pytest.mark.usefixtures("two_days")
def test_a_tokens_own_page_draws_its_busiest_minutes_against_its_limit(alice_client: Client) -> None:
    ApiToken.objects.filter(name="prod").update(rpm_limit=0)
    limits = f"{PAGE}limits/"
    page = alice_client.get(limits, {**A_DAY, "token": "prod"}).content.decode()
    assert "limit 0 RPM" in page and "bar-rpm" in page and "key-over" in page
    assert 'class="over"' in page
    metric = ways(page, "metric")
    assert "chart=" not in metric["Peak RPM"] and "chart=requests" in metric["Requests"]
    page = alice_client.get(f"{limits}?{metric['Requests']}").content.decode()
    assert "bar-success" in page and "limit 0 RPM" not in page, "a bar of ten minutes has no such limit"
    assert 'name="chart" value="requests"' in page


@pytest.mark.usefixtures("two_days")
def test_the_tooltip_has_parts_and_the_period_before_of_the_bars_on_the_page(alice_client: Client) -> None:
    page = alice_client.get(PAGE, {**A_DAY, "chart": "cost", "stack": "token"}).content.decode()
    url = re.search(r'data-url="([^"]+)"', page)
    assert url
    told = alice_client.get(unescape(url[1])).json()
    assert (told["unit"], told["layers"]) == ("money", ["ci", "prod"])
    assert told["buckets"][0] == [0, 0.25, [0.5, -0.25], 0.5, None]
    assert sum(bucket[1] for bucket in told["buckets"]) == pytest.approx(19.75)


@pytest.mark.usefixtures("two_days")
def test_a_chart_costs_a_fixed_number_of_queries(alice_client: Client, gateway: Gateway) -> None:
    """Beyond what the header asks: the bars of the period before, and where they are not counted by the
    minute those of the range.
    """

    def queries(**query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice_client.get(PAGE, {**A_DAY, **query}).status_code == 200
        # A moment later the session's last use and what runs in the background are asked for again.
        return sum(not re.search("usersession|routescope_cache", one["sql"]) for one in captured)

    queries()
    hidden = {"chart": "off", "query": ""}
    shown = [queries(), queries(chart="cost"), queries(chart="cost", stack="model"), queries(chart="rpm")]
    alice_client.post(f"{PAGE}display/", hidden)
    without = queries()
    assert [number - without for number in shown] == [1, 2, 2, 0]
    assert shown[0] <= 24
