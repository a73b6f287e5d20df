"""What is unlike usual: the rule, the job that compares hours, and what a page says of it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, User
from logs.models import Status, UnusualHour, UsageHourFolded, UsageTotalHourFolded
from logs.rollups import pending, series, traffic, unusual
from logs.rollups.unusual import EVERYONE, What, around, is_unlike
from logs.selection.chosen import Selection
from logs.usage import unlike_marks
from logs.usage.chart import Chart
from logs.usage.chart_parts import Plotted
from logs.usage.unlike_usual import Unlike
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope
from routescope.filters.address import Address
from tests.cast import event, just_now, signed_in, store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 90


def quiet(rng: random.Random) -> dict[datetime, Decimal]:
    """Return the hourly figures of 90 days: a working week's rhythm, noise, and a burst every few days."""
    found = {}
    for number in range(DAYS * 24):
        hour = MONDAY + number * HOUR
        busy = 200 if hour.weekday() < 5 and 8 <= hour.hour < 19 else 25
        figure = max(rng.gauss(busy, busy**0.5 * 2), 0)
        if rng.random() < 1 / 80:
            figure += rng.uniform(100, 600)
        found[hour] = Decimal(int(figure))
    return found


def marked(figures: dict[datetime, Decimal], hours: Iterable[datetime]) -> list[datetime]:
    first = min(figures)
    marks = []
    for hour in hours:
        value = figures[hour]
        if hour - first < 3 * timedelta(weeks=1) + HOUR:
            continue
        begin = max(first, hour - 8 * timedelta(weeks=1) - HOUR)
        every = [figures[begin + number * HOUR] for number in range((hour - begin) // HOUR)]
        same = [figures[one] for one in around(hour) if one >= begin]
        if is_unlike(What.REQUESTS, value, same, every):
            marks.append(hour)
    return marks


def test_ninety_quiet_days_have_one_mark_at_most() -> None:
    for _ in range(2):
        figures = quiet(random.Random(random.random()))
        assert len(marked(figures, figures)) <= 1


def test_an_incident_is_marked_wherever_it_falls_and_one_outlier_hides_no_other() -> None:
    for _ in range(20):
        rng = random.Random(random.random())
        figures = quiet(rng)
        hour = MONDAY + timedelta(days=rng.randrange(60, DAYS), hours=rng.randrange(24))
        # The day before something far larger came in by mistake.
        figures[hour - timedelta(weeks=2)] = Decimal(10**6)
        figures[hour] = Decimal(3_000)
        assert marked(figures, [hour]) == [hour]


@pytest.mark.parametrize(
    ("value", "same", "every", "wanted"),
    [
        (59, [0] * 9, [0] * 500, False),  # not worth a word
        (61, [0] * 9, [0] * 500, True),
        (61, [0] * 8, [0] * 500, False),  # too little to compare with
        (299, [100] * 24, [100] * 1344, False),  # not three times the usual
        (300, [100] * 24, [100] * 1344, True),
        (300, [100] * 24, [100] * 1341 + [150] * 3, False),  # as much as twice what comes every few days
        (301, [100] * 24, [100] * 1341 + [150] * 3, True),
        (301, [100] * 24, [100] * 1342 + [9_000] * 2, True),  # two outliers of before
    ],
)
def test_the_rule(value: int, same: list[int], every: list[int], wanted: bool) -> None:
    assert (
        is_unlike(What.REQUESTS, Decimal(value), [Decimal(one) for one in same], _decimals(every)) is wanted
    )


def _decimals(values: Iterable[int]) -> list[Decimal]:
    return [Decimal(value) for value in values]


@pytest.fixture
def incident(gateway: Gateway, alice: User, bob: User) -> datetime:
    """Five weeks of a few calls an hour by Alice; then an hour with many of one model and token, failed."""
    hour = floor(just_now(), HOUR) - 2 * HOUR
    store(gateway, event(alice, created_at=hour + timedelta(minutes=1), model="gpt-5", token="prod"))
    pending.fold()
    tables: tuple[Any, ...] = (UsageHourFolded, UsageTotalHourFolded)
    for table in tables:
        [row] = table.objects.filter(start=hour)
        kept = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        table.objects.bulk_create(
            table(**kept | {"start": hour - number * HOUR, "records": 5}) for number in range(1, 5 * 7 * 24)
        )
    store(
        gateway,
        *(
            event(
                alice,
                created_at=hour + timedelta(minutes=2, seconds=number),
                model="claude-sonnet-5",
                token="staging",
                status=Status.ERROR,
                http_status=500,
                cost=Decimal("0.2"),
            )
            for number in range(150)
        ),
        *(event(bob, created_at=hour + timedelta(minutes=9, seconds=number)) for number in range(59)),
    )
    return hour


@pytest.mark.django_db
def test_an_hour_is_compared_once_it_is_over_and_leads_to_what_it_is_of(
    incident: datetime, alice: User, bob: User, alice_client: Client
) -> None:
    assert unusual.compare(timedelta(minutes=1), now=incident + HOUR) > 700
    assert not UnusualHour.objects.filter(start=incident).exists(), "it is not settled yet"
    later = incident + HOUR + timedelta(minutes=6)
    assert unusual.compare(timedelta(minutes=1), now=later) == 4
    found = {(one.user_id, one.what): one for one in UnusualHour.objects.all()}
    assert set(found) == {(who, what) for who in (alice.pk,) for what in What.values} | {
        (EVERYONE, what) for what in What.values
    }
    cost = found[alice.pk, What.COST]
    assert (cost.start, round(cost.value, 3), round(cost.usual, 3)) == (incident, Decimal(30), Decimal(0))
    assert found[alice.pk, What.REQUESTS].usual == 5
    # Compared again it is the same, and what went is gone.
    assert unusual.compare(timedelta(minutes=1), now=later) == 3
    assert UnusualHour.objects.count() == len(found)
    page = alice_client.get("/records/usage/?range=24h").content.decode()
    assert "Requests 30.2 times the usual for a" in page and "Cost $30.0003, where a" in page
    assert "claude-sonnet-5 via token staging" in page
    [link] = {line.split('"')[1] for line in page.split("<li>") if "errors, where" in line.split("</li>")[0]}
    narrowed = alice_client.get(link.replace("&amp;", "&")).content.decode()
    assert 'data-stat="requests" data-value="150"' in narrowed
    # Under another filter nothing is said, and nothing to others.
    assert 'class="unlike"' not in alice_client.get("/records/usage/?token=staging").content.decode()
    assert 'class="unlike"' not in signed_in(bob).get("/records/usage/?range=24h").content.decode()


@pytest.mark.django_db
def test_everybodys_hours_are_an_admins_to_see(incident: datetime, admin: User) -> None:
    unusual.compare(timedelta(minutes=1), now=timezone.now())
    page = signed_in(admin).get("/records/usage/?of=everyone&range=24h").content.decode()
    assert "times the usual for a" in page and "claude-sonnet-5" in page


@pytest.mark.django_db
def test_it_goes_on_where_it_was_broken_off(incident: datetime) -> None:
    now = incident + 2 * HOUR
    assert unusual.compare(timedelta(0), now=now) == 0
    first = unusual.compare(timedelta(milliseconds=50), now=now)
    assert first > 0
    rest = unusual.compare(timedelta(minutes=5), now=now)
    assert rest <= 31 * 24 - first + 3
    assert unusual.compare(timedelta(minutes=5), now=now) == 3


# --- On the chart ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_chart_marks_it_in_the_metric_that_it_speaks_of(
    incident: datetime, alice_client: Client, bob: User
) -> None:
    unusual.compare(timedelta(minutes=1), now=incident + 2 * HOUR)
    answer = alice_client.get("/records/usage/?range=24h")
    [mark] = answer.context["unlike_marks"]
    page = answer.content.decode()
    assert "errors, where a" in mark.unlike.words and "Requests 30.2 times" in mark.unlike.words
    link = page.split('class="unlike-link" href="')[1].split('"')[0].replace("&amp;", "&")
    narrowed = alice_client.get(link).context
    assert narrowed["totals"].requests == 150
    assert narrowed["filters"].selection.chosen == TimeRange(incident, incident + HOUR)
    chart = answer.context["chart"]
    first, last = (int(one) if one.isdigit() else float(one) for one in mark.path[1:].split(" 0H"))
    begins = chart.grid.start + first * chart.grid.step
    assert incident - chart.grid.step < begins <= incident
    assert begins + (last + 0.2 - first) * chart.grid.step >= incident + HOUR
    [cost] = alice_client.get("/records/usage/?range=24h&chart=cost").context["unlike_marks"]
    assert cost.unlike.words.startswith("Cost")
    for word in ("tokens", "duration", "rpm"):
        other = alice_client.get(f"/records/usage/?range=24h&chart={word}")
        assert not other.context["unlike_marks"]
        assert 'class="unlike"' in other.content.decode() and "unlike-link" not in other.content.decode()
    assert not alice_client.get("/records/usage/?range=24h&token=staging").context["unlike_marks"]
    assert not signed_in(bob).get("/records/usage/?range=24h").context["unlike_marks"]
    assert not alice_client.get("/records/usage/?range=1h").context["unlike_marks"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("start", "end", "path", "anchor"),
    [
        (-30, 30, "M0 0H0.8", "start"),
        (0, 60, "M0 0H0.8", "start"),
        (60, 180, "M1 0H2.8", "middle"),
        (90, 150, "M1 0H2.8", "middle"),
        (23 * 60, 24 * 60, "M23 0H23.8", "end"),
        (23 * 60 + 30, 30 * 60, "M23 0H23.8", "end"),
        (-60, 0, "", ""),
        (24 * 60, 25 * 60, "", ""),
    ],
)
def test_a_mark_stands_under_the_bars_of_its_stretch(
    alice: User, start: int, end: int, path: str, anchor: str
) -> None:
    begins = floor(just_now(), DAY) - 3 * DAY
    found = traffic.traffic(
        Scope.own(alice), Selection(TimeRange(begins, begins + DAY)), just_now(), steps=series.step_of
    )
    chart = Chart(found, Plotted("requests", HOUR))
    said = Unlike("words", "whose", Address({}), What.REQUESTS, *(begins + n * MINUTE for n in (start, end)))
    drawn = [(one.path, one.anchor) for one in unlike_marks.marks(chart, [said])]
    assert drawn == ([(path, anchor)] if path else [])
