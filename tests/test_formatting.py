"""How numbers, money, durations, times and ids are written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from routescope.text import browsers, formatting
from routescope.text.formatting import Number

MOMENT = dt.datetime(2026, 7, 14, 6, 2, 11, 482_999, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "—"),
        (0, "$0.00"),
        (Decimal("12.4031"), "$12.4031"),
        (Decimal("12.40314"), "$12.4031"),
        (Decimal("12.4"), "$12.40"),
        (Decimal("1204.5"), "$1,204.50"),
        (Decimal("-0.2"), "-$0.20"),
        (Decimal("0.01"), "$0.01"),
        (Decimal("0.0049"), "$0.0049"),
        (Decimal("0.00004875"), "$0.00004875"),
        (Decimal("0.0000487512"), "$0.00004875"),
        (Decimal("0.0099999999"), "$0.01"),
        (Decimal("1E-8"), "$0.00000001"),
        (Decimal("1E-12"), "<$0.00000001"),
        (1e-12, "<$0.00000001"),
        (Decimal("-1E-12"), "-<$0.00000001"),
        (0.1 + 0.2, "$0.30"),
        (Decimal("1E+30"), "$1,000,000,000,000,000,000,000,000,000,000.00"),
        (Decimal("NaN"), "—"),
        (float("inf"), "—"),
    ],
)
def test_money_is_never_scientific_and_never_zero_when_it_is_not(amount: Number | None, written: str) -> None:
    assert formatting.money(amount) == written
    assert formatting.money_call(amount) == written


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "—"),
        (Decimal("0"), "$0.00"),
        (Decimal("0.004905"), "$0.004905"),
        (Decimal("12.40314159"), "$12.40314159"),
        (Decimal("1E-12"), "$0.000000000001"),
        (Decimal("-0.0010010"), "-$0.001001"),
        (Decimal("2E+3"), "$2,000.00"),
    ],
)
def test_a_receipt_shows_every_decimal(amount: Decimal | None, written: str) -> None:
    assert formatting.money_exact(amount) == written


@given(st.decimals(min_value=Decimal("-1E15"), max_value=Decimal("1E15"), allow_nan=False))
def test_money_reads_back_to_the_amount_it_was_written_from(amount: Decimal) -> None:
    written = formatting.money_exact(amount)
    assert Decimal(written.replace("$", "").replace(",", "")) == amount
    shown = formatting.money(amount)
    assert "E" not in shown
    assert (shown == "$0.00") == (amount == 0)


@pytest.mark.parametrize(
    ("count", "tokens", "compact", "exact"),
    [
        (None, "—", "—", "—"),
        (0, "0", "0", "0"),
        (340, "340", "340", "340"),
        (1_204, "1,204", "1.2k", "1,204"),
        (182_400, "182,400", "182k", "182,400"),
        (999_999, "999,999", "1.0M", "999,999"),
        (1_000_000, "1.0M", "1.0M", "1,000,000"),
        (18_204_331, "18.2M", "18.2M", "18,204,331"),
        (182_043_310, "182M", "182M", "182,043,310"),
        (999_949_999, "1.0B", "1.0B", "999,949,999"),
        (10**16, "10,000T", "10,000T", "10,000,000,000,000,000"),
        (-18_204_331, "-18.2M", "-18.2M", "-18,204,331"),
        (-5, "-5", "-5", "-5"),
        (Decimal("6.5"), "6.5", "6.5", "6.5"),
    ],
)
def test_counts_are_exact_until_they_are_rounded(
    count: Number | None, tokens: str, compact: str, exact: str
) -> None:
    assert formatting.tokens(count) == tokens
    assert formatting.compact(count) == compact
    assert formatting.exact(count) == exact


@pytest.mark.parametrize(
    ("ratio", "written"),
    [
        (None, "—"),
        (0, "0%"),
        (1, "100%"),
        (Decimal("0.987"), "98.7%"),
        (0.41, "41%"),
        (1e-9, "<0.1%"),
        (-1e-9, "-<0.1%"),
        (0.99999, ">99.9%"),
        (0.9994, "99.9%"),
        (1.25, "125%"),
        (-0.02, "-2%"),
    ],
)
def test_all_and_nothing_are_said_only_where_they_are_exact(ratio: Number | None, written: str) -> None:
    assert formatting.percent(ratio) == written


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (None, "—"),
        (0, "0.00 : 1"),
        (340, "340 : 1"),
        (12.44, "12.4 : 1"),
        (0.25, "0.25 : 1"),
        (1e-6, "<0.01 : 1"),
    ],
)
def test_a_ratio_has_three_digits(number: Number | None, written: str) -> None:
    assert formatting.ratio(number) == written


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (None, "—"),
        (0, "$0.00"),
        (Decimal("29.1358"), "$29.14"),
        (Decimal("0.0788"), "$0.0788"),
        (Decimal("0.00170716"), "$0.00171"),
        (Decimal("-0.0000012345"), "-$0.00000123"),
        (Decimal("1e-10"), "<$0.00000001"),
    ],
)
def test_an_average_is_rounded_and_never_to_nothing(amount: Number | None, written: str) -> None:
    assert formatting.money_average(amount) == written


@pytest.mark.parametrize(
    ("amount", "written"),
    [(None, "—"), (0, "$0.0000"), (Decimal("-1204.5"), "-$1,204.5000"), (Decimal("0.0000125"), "$0.0000125")],
)
def test_a_column_of_totals_aligns(amount: Number | None, written: str) -> None:
    assert formatting.money_column(amount) == written


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (None, "—"),
        (0, "0 ms"),
        (0.4, "<1 ms"),
        (842, "842 ms"),
        (999.5, "1.00 s"),
        (2_310, "2.31 s"),
        (59_994, "59.99 s"),
        (59_995, "1 m 0 s"),
        (72_000, "1 m 12 s"),
        (3_599_499, "59 m 59 s"),
        (3_599_500, "1 h 0 m"),
        (86_400_000, "1 d 0 h"),
        (10**12, "11574 d 2 h"),
        (-842, "-842 ms"),
        (dt.timedelta(seconds=2, milliseconds=310), "2.31 s"),
        (dt.timedelta(microseconds=-1), "-<1 ms"),
    ],
)
def test_durations_carry_the_unit_that_fits(milliseconds: Number | dt.timedelta | None, written: str) -> None:
    assert formatting.duration(milliseconds) == written


def test_times_are_in_the_active_zone_and_never_rounded_up() -> None:
    with timezone.override(ZoneInfo("Asia/Shanghai")):
        assert formatting.when(MOMENT) == "2026-07-14 14:02:11"
        assert formatting.when_ms(MOMENT) == "2026-07-14 14:02:11.482"
        assert formatting.clock(MOMENT) == "14:02:11.482"
        assert formatting.day(MOMENT) == "2026-07-14"
        assert formatting.month_day(MOMENT) == "07-14"
    with timezone.override(ZoneInfo("Pacific/Kiritimati")):
        assert formatting.when(dt.datetime(2025, 12, 31, 12, tzinfo=dt.UTC)) == "2026-01-01 02:00:00"


@pytest.mark.parametrize(
    ("passed", "written"),
    [
        (dt.timedelta(seconds=-5), "just now"),
        (dt.timedelta(seconds=59), "just now"),
        (dt.timedelta(seconds=200), "3 min ago"),
        (dt.timedelta(minutes=59, seconds=59), "59 min ago"),
        (dt.timedelta(hours=47, minutes=59), "47 hr ago"),
        (dt.timedelta(hours=48), "2 days ago"),
        (dt.timedelta(days=1500), "1,500 days ago"),
    ],
)
def test_how_long_ago_is_never_rounded_up(passed: dt.timedelta, written: str) -> None:
    assert formatting.ago(MOMENT, MOMENT + passed) == written


@pytest.mark.parametrize(
    "write",
    [
        formatting.when,
        formatting.when_ms,
        formatting.clock,
        formatting.day,
        formatting.month_day,
        formatting.ago,
    ],
)
def test_an_unknown_moment_is_a_dash(write: Callable[[None], str]) -> None:
    assert write(None) == "—"


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        formatting.when(MOMENT.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Asia/Shanghai", "UTC+08:00 Shanghai"),
        ("America/New_York", "UTC-04:00 New York"),
        ("America/St_Johns", "UTC-02:30 St Johns"),
        ("America/Argentina/Buenos_Aires", "UTC-03:00 Buenos Aires"),
        ("Asia/Kathmandu", "UTC+05:45 Kathmandu"),
        ("Europe/London", "UTC+01:00 London"),
        ("Etc/GMT+5", "UTC-05:00"),
        ("UTC", "UTC"),
    ],
)
def test_a_zone_is_named_by_its_offset_and_place(zone: str, label: str) -> None:
    assert formatting.zone_label(ZoneInfo(zone), MOMENT) == label


def test_a_zone_label_follows_summer_time() -> None:
    january = dt.datetime(2026, 1, 14, tzinfo=dt.UTC)
    assert formatting.zone_label(ZoneInfo("America/New_York"), january) == "UTC-05:00 New York"


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        (None, "—"),
        ("", "—"),
        ("short", "short"),
        ("req_8f3a123456789c21", "req_8f3a…9c21"),
        ("chatcmpl-9xABCDEFGHQz12", "chatcmpl-9xAB…Qz12"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e…0000"),
        ("req_8f3a9c21", "req_8f3a9c21"),
        ("请求编号二零二六零七一四零零零一", "请求编号…零零零一"),
    ],
)
def test_an_id_is_shortened_in_the_middle(whole: str | None, short: str) -> None:
    assert formatting.short_id(whole) == short


@given(st.text(min_size=1))
def test_a_shortened_id_is_never_longer_than_the_id(whole: str) -> None:
    assert len(formatting.short_id(whole)) <= len(whole)


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (None, "—"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
    ],
)
def test_a_browser_is_named_for_a_person(agent: str | None, said: str) -> None:
    assert browsers.browser(agent) == said


def test_templates_reach_the_same_functions() -> None:
    template = Template(
        "{% load formatting %}{{ cost|money }} {{ cost|money_call }} {{ cost|money_exact }} {{ n|tokens }} "
        "{{ n|exact }} {{ n|compact }} {{ ms|duration }} {{ r|percent }} {{ id|short_id }} {{ at|when }} "
        "{{ at|when_ms }} {{ at|clock }} {{ missing|money }}"
    )
    context = {
        "cost": Decimal("0.004905"),
        "n": 18_204_331,
        "ms": 842,
        "r": 0.5,
        "id": "req_8f3a123456789c21",
    }
    with timezone.override(dt.UTC):
        written = template.render(
            Context({**context, "id": "req_8f3a123456789c21", "at": MOMENT, "missing": None})
        )
    assert written == (
        "$0.004905 $0.004905 $0.004905 18.2M 18,204,331 18.2M 842 ms 50% req_8f3a…9c21 2026-07-14 06:02:11 "
        "2026-07-14 06:02:11.482 06:02:11.482 —"
    )


@pytest.mark.parametrize(
    ("now", "before", "written"),
    [
        (112, 100, "+12%"),
        (Decimal("96.6"), 100, "-3.4%"),
        (100, 100, "±0%"),
        (Decimal("100.001"), 100, "+<0.1%"),
        (Decimal("99.999"), 100, "-<0.1%"),
        (0, 5, "-100%"),
        (999, 100, "+899%"),
        (1400, 100, "×14"),
        (5, 0, ""),
        (5, Decimal("-0.25"), ""),
        (None, 5, ""),
        (5, None, ""),
    ],
)
def test_a_change_says_how_a_figure_differs_from_what_it_was(
    now: Decimal | int | None, before: Decimal | int | None, written: str
) -> None:
    assert formatting.change(now, before) == written


@pytest.mark.parametrize(
    ("value", "count", "money"),
    [
        (0, "0", "$0"),
        (Decimal("0.5"), "0.5", "$0.5"),
        (Decimal("0.00002"), "0.00002", "$0.00002"),
        (340, "340", "$340"),
        (40_000, "40k", "$40k"),
        (2_500_000, "2.5M", "$2.5M"),
        (None, "—", "—"),
    ],
)
def test_a_scale_is_labelled_as_short_as_it_can_be(
    value: Decimal | int | None, count: str, money: str
) -> None:
    assert formatting.count_round(value) == count
    assert formatting.money_round(value) == money


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "0 ms"),
        (500, "500 ms"),
        (1_000, "1 s"),
        (2_500, "2.5 s"),
        (100_000, "100 s"),
        (150_000, "150 s"),
        (1_200_000, "20 m"),
        (None, "—"),
    ],
)
def test_a_scale_of_durations_is_labelled_alike(milliseconds: int | None, written: str) -> None:
    assert formatting.duration_round(milliseconds) == written
