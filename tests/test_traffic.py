"""RPM and TPM: now, average, peaks, limits; the chart's buckets; all against plain Python."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts.models import ApiToken, Gateway, User
from logs.models import RecordType, Status
from logs.models.events import UsageEvent
from logs.rollups import busy_hours, pending, token_limits, traffic
from logs.rollups.buckets import Peak
from logs.selection.chosen import Selection
from routescope.data.ranges import DAY, HOUR, MINUTE, TimeRange, floor
from routescope.data.scopes import Scope
from tests.cast import NOON, event, signed_in, store
from tests.test_azure import TRACES

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

pytestmark = pytest.mark.django_db

PAGE = "/records/usage/"
AN_HOUR = TimeRange(NOON, NOON + HOUR)


def stats(response: Answer) -> dict[str, tuple[str, str | None]]:
    found = re.findall(
        r'data-stat="(\w+)" data-value="([^"]*)"(?: data-at="([^"]*)")?', response.content.decode()
    )
    return {name: (value, at or None) for name, value, at in found}


def calls(gateway: Gateway, seconds: list[float], **fields: Any) -> list[UsageEvent]:
    events = [event(created_at=NOON + timedelta(seconds=second), **fields) for second in seconds]
    store(gateway, *events, ties=len(set(seconds)) < len(seconds))
    return events


def test_peaks_are_the_busiest_calendar_minute_and_the_earliest_of_equals(
    alice: User, gateway: Gateway
) -> None:
    calls(gateway, [0, 130, 140, 150, 310, 320, 330], input_tokens=10, output_tokens=5)
    calls(gateway, [600], input_tokens=1000, output_tokens=0)
    found = traffic.traffic(Scope.own(alice), Selection(AN_HOUR), NOON + HOUR)
    assert found.peak_rpm == Peak(3, NOON + 2 * MINUTE)
    assert found.peak_tpm == Peak(1000, NOON + 10 * MINUTE)
    assert found.avg_rpm == Decimal(8) / 60
    assert found.avg_tpm == Decimal(7 * 15 + 1000) / 60


def test_a_minute_of_more_tokens_than_a_bigint_packs_is_told_to_the_last(
    alice: User, gateway: Gateway
) -> None:
    most = 2**31 - 1
    calls(gateway, [60 + second / 4 for second in range(30)], input_tokens=most, output_tokens=most)
    calls(gateway, [180], input_tokens=1, output_tokens=1)
    found = traffic.traffic(Scope.own(alice), Selection(AN_HOUR), NOON + HOUR)
    assert found.peak_tpm == Peak(60 * most, NOON + MINUTE)
    assert found.peak_rpm == Peak(30, NOON + MINUTE)


def test_refunds_are_no_requests(alice: User, gateway: Gateway) -> None:
    calls(gateway, [0], type=RecordType.REFUND, input_tokens=0, output_tokens=0)
    assert traffic.traffic(Scope.own(alice), Selection(AN_HOUR), NOON + HOUR).peak_rpm is None


def test_now_is_the_last_sixty_seconds_under_the_filters_whatever_the_range(
    alice: User, gateway: Gateway
) -> None:
    now = timezone.now()
    for ago, name in ((5, "a"), (59, "a"), (30, "b"), (61, "a")):
        store(
            gateway,
            event(created_at=now - timedelta(seconds=ago), token=name, input_tokens=7, output_tokens=0),
        )
    token = ApiToken.objects.get(name="a")
    found = traffic.traffic(Scope.own(alice), Selection(AN_HOUR, tokens=(token.pk,)), now)
    assert (found.now_rpm, found.now_tpm) == (2, 14)


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (HOUR, MINUTE),
        (DAY, MINUTE),
        (2 * DAY, MINUTE),
        (2 * DAY + MINUTE, 10 * MINUTE),
        (7 * DAY, 30 * MINUTE),
        (30 * DAY, 2 * HOUR),
        (90 * DAY, 6 * HOUR),
        (365 * DAY, DAY),
        (2000 * DAY, 7 * DAY),
    ],
)
def test_buckets_are_minutes_up_to_two_days_then_as_coarse_as_needed(
    length: timedelta, step: timedelta
) -> None:
    assert traffic.step_of(TimeRange(NOON, NOON + length)) == step


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(-100, 9000),
    length=st.integers(1, 9000) | st.integers(9000, 90_000),
    statuses=st.sets(st.sampled_from(Status), max_size=1),
)
def test_buckets_and_peaks_agree_with_plain_python(
    many: tuple[User, list[UsageEvent]], start: int, length: int, statuses: set[Status]
) -> None:
    alice, events = many
    chosen = TimeRange(NOON + start * MINUTE, NOON + (start + length) * MINUTE)
    wanted = [
        record
        for record in events
        if record.created_at in chosen
        and record.type in (RecordType.REQUEST, RecordType.TASK)
        and (not statuses or record.status in statuses)
    ]
    found = traffic.traffic(
        Scope.own(alice),
        Selection(chosen, statuses=tuple(int(status) for status in statuses)),
        timezone.now(),
    )
    requests = Counter(floor(record.created_at, MINUTE) for record in wanted)
    tokens: Counter[datetime] = Counter()
    for record in wanted:
        tokens[floor(record.created_at, MINUTE)] += record.input_tokens + record.output_tokens
    assert sum(bucket.requests for bucket in found.buckets) == len(wanted)
    assert sum(bucket.errors for bucket in found.buckets) == sum(r.status == Status.ERROR for r in wanted)
    assert sum(bucket.rate_limited for bucket in found.buckets) == sum(r.http_status == 429 for r in wanted)
    assert sum(bucket.tokens for bucket in found.buckets) == sum(tokens.values())
    for peak, counted in ((found.peak_rpm, requests), (found.peak_tpm, tokens)):
        most = max(counted.values(), default=None)
        assert (peak and peak.value) == most
        assert (peak and peak.at) == min((at for at, n in counted.items() if n == most), default=None)
    for bucket in found.buckets:
        inside = {at: n for at, n in requests.items() if bucket.start <= at < bucket.start + found.step}
        assert bucket.requests == sum(inside.values())
        assert bucket.peak_rpm.value == max(inside.values())


@pytest.fixture(params=["not counted", "counted", "changed", "changed and folded"])
def many(
    request: pytest.FixtureRequest, alice: User, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> tuple[User, list[UsageEvent]]:
    """Alice with records of six days, whose hours were counted before: all of them, or until others came."""
    monkeypatch.setattr(busy_hours, "BUSY", 2)
    random = Random(11)
    events = [
        event(
            created_at=NOON
            + timedelta(seconds=random.choice([random.randrange(600), random.randrange(540_000)])),
            type=random.choices(list(RecordType), [9, 1, 1, 1])[0],
            status=status,
            http_status=429 if status == Status.ERROR and random.random() < 0.5 else None,
            input_tokens=random.randrange(3000),
        )
        for status in random.choices(list(Status), [8, 2], k=500)
    ]
    early = len(events) if request.param == "counted" else len(events) // 2
    store(gateway, *events[:early], ties=True)
    if request.param != "not counted":
        pending.fold()
        assert busy_hours.count(everything=True) > 20
    store(gateway, *events[early:], ties=True)
    if request.param == "changed and folded":
        pending.fold()
    return alice, events


@pytest.fixture
def limited(alice: User, gateway: Gateway) -> ApiToken:
    """A token limited to 3 RPM: 3, 4, 5 calls in minutes 0, 2, 4, and 4 across minutes 10 and 11."""
    calls(gateway, [0, 10, 20, 120, 130, 140, 150, 240, 245, 250, 255, 260, 650, 655, 665, 670])
    ApiToken.objects.update(rpm_limit=3)
    return ApiToken.objects.get()


def test_exactly_the_minutes_over_a_limit_are_named(alice: User, limited: ApiToken) -> None:
    over = token_limits.minutes_over(Scope.own(alice), Selection(AN_HOUR), limited, NOON + HOUR)
    assert [(minute.minute - NOON, minute.requests) for minute in over] == [(2 * MINUTE, 4), (4 * MINUTE, 5)]


def test_any_sixty_seconds_count_and_the_calls_that_crossed_are_named(alice: User, limited: ApiToken) -> None:
    found = token_limits.crossings(Scope.own(alice), Selection(AN_HOUR), limited, NOON + HOUR)
    assert [(call.created_at - NOON).total_seconds() for call in found] == [150, 255, 670]
    assert [call.requests for call in found] == [4, 4, 4]


def test_a_window_that_empties_may_be_crossed_again(alice: User, gateway: Gateway) -> None:
    calls(gateway, [0, 1, 2, 3, 61.5, 61.6, 61.7, 61.8])
    ApiToken.objects.update(rpm_limit=3)
    found = token_limits.crossings(Scope.own(alice), Selection(AN_HOUR), ApiToken.objects.get(), NOON + HOUR)
    assert [(call.created_at - NOON).total_seconds() for call in found] == [3, 61.6]


def test_calls_of_the_same_instant_cross_together(alice: User, gateway: Gateway) -> None:
    calls(gateway, [5, 5, 5, 5])
    ApiToken.objects.update(rpm_limit=2)
    assert (
        len(token_limits.crossings(Scope.own(alice), Selection(AN_HOUR), ApiToken.objects.get(), NOON + HOUR))
        == 4
    )


def test_exactly_sixty_seconds_apart_is_not_within_sixty_seconds(alice: User, gateway: Gateway) -> None:
    calls(gateway, [0, 60])
    ApiToken.objects.update(rpm_limit=1)
    assert (
        token_limits.crossings(Scope.own(alice), Selection(AN_HOUR), ApiToken.objects.get(), NOON + HOUR)
        == []
    )


def test_a_tpm_limit_names_minutes_and_calls_too(alice: User, gateway: Gateway) -> None:
    calls(gateway, [0, 10, 20], input_tokens=400, output_tokens=0)
    ApiToken.objects.update(tpm_limit=1000)
    token = ApiToken.objects.get()
    assert [
        over.tokens
        for over in token_limits.minutes_over(Scope.own(alice), Selection(AN_HOUR), token, NOON + HOUR)
    ] == [1200]
    assert [
        call.tokens
        for call in token_limits.crossings(Scope.own(alice), Selection(AN_HOUR), token, NOON + HOUR)
    ] == [1200]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"])
def test_the_limit_page_names_the_same_minutes_in_every_zone(
    alice: User, limited: ApiToken, zone: str
) -> None:
    alice.time_zone = zone
    alice.save()
    client = signed_in(alice)
    start, end = (
        moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") for moment in (NOON, NOON + HOUR)
    )
    page = client.get(f"{PAGE}limits/", {"token": "prod", "start": start, "end": end}).content.decode()
    named = [datetime.fromisoformat(at) for at in re.findall(r'data-minute="([^"]+)"', page)]
    assert named == [NOON + 2 * MINUTE, NOON + 4 * MINUTE]
    assert len(re.findall("data-crossing=", page)) == 3


def test_across_a_clock_change_every_minute_is_itself(alice: User, gateway: Gateway) -> None:
    """In New York 01:30 comes twice on 2025-11-02; the minutes an hour apart stay apart."""
    first, second = datetime(2025, 11, 2, 5, 30, tzinfo=UTC), datetime(2025, 11, 2, 6, 30, tzinfo=UTC)
    store(gateway, *(event(created_at=at + timedelta(seconds=n)) for at in (first, second) for n in range(3)))
    ApiToken.objects.update(rpm_limit=2)
    alice.time_zone = "America/New_York"
    alice.save()
    query = {"token": "prod", "start": "2025-11-02T00:00", "end": "2025-11-03T00:00"}
    client = signed_in(alice)
    page = client.get(f"{PAGE}limits/", query).content.decode()
    named = [datetime.fromisoformat(at) for at in re.findall(r'data-minute="([^"]+)"', page)]
    assert named == [first, second]
    figures = stats(client.get(PAGE, query))
    assert figures["avg_rpm"][0].startswith(str(round(6 / (25 * 60), 6))), "the day has 25 hours"
    links = re.findall(r'data-minute="[^"]+"><th scope="row"><a href="([^"]+)"', page)
    for link in links:
        assert stats(client.get(link.replace("&amp;", "&")))["requests"][0] == "3"


def test_a_strangers_token_has_no_limit_page(charlie: User, limited: ApiToken) -> None:
    assert signed_in(charlie).get(f"{PAGE}limits/", {"token": "prod"}).status_code == 404


def test_the_tooltips_figures_are_the_persons_own(alice: User, charlie: User, limited: ApiToken) -> None:
    query = {"start": "2026-03-10T12:00", "end": "2026-03-10T13:00"}
    mine = json.loads(signed_in(alice).get(f"{PAGE}chart/", query).content)
    assert [bucket[:2] for bucket in mine["buckets"]] == [[0, 3], [2, 4], [4, 5], [10, 2], [11, 2]]
    theirs = json.loads(signed_in(charlie).get(f"{PAGE}chart/", query).content)
    assert theirs["buckets"] == []


def test_the_chart_draws_limits_only_for_one_token(alice_client: Client, limited: ApiToken) -> None:
    query = {"start": "2026-03-10T12:00", "end": "2026-03-10T13:00"}
    assert "limit 3 RPM" not in alice_client.get(PAGE, query).content.decode()
    assert "limit 3 RPM" in alice_client.get(PAGE, {**query, "token": "prod"}).content.decode()


@pytest.mark.slow
@pytest.mark.skipif(not TRACES.is_dir(), reason=f"The Azure traces are not at {TRACES}.")
@pytest.mark.parametrize(
    ("token", "requests", "rpm", "tpm", "minute"),
    [("conv", 19_366, 502, 780_667, 43), ("code", 8_819, 585, 1_257_868, 31)],
)
def test_the_peaks_of_two_real_hours(
    settings: Settings, token: str, requests: int, rpm: int, tpm: int, minute: int
) -> None:
    settings.RECORD_RETENTION_MONTHS = 1200
    user = User.objects.create_user("azure@example.com", "azure-password")
    path = TRACES / f"AzureLLMInferenceTrace_{token}.csv"
    call_command("load_trace", str(path), user="azure@example.com", token=token, model="azure", verbosity=0)
    ApiToken.objects.update(rpm_limit=500)
    client = signed_in(user)
    query = {"token": token, "start": "2023-11-16T18:15", "end": "2023-11-16T19:15"}
    figures = stats(client.get(PAGE, query))
    at = datetime(2023, 11, 16, 18, minute, tzinfo=UTC).isoformat()
    assert figures["requests"][0] == str(requests)
    assert figures["peak_rpm"] == (str(rpm), at)
    assert figures["peak_tpm"] == (str(tpm), at)
    assert Decimal(figures["avg_rpm"][0]).quantize(Decimal("0.0001")) == round(Decimal(requests) / 60, 4)
    with path.open() as lines:
        minutes = Counter(line[:16] for line in lines if line.startswith("2023"))
    over = re.findall(r'data-minute="([^"]+)"', client.get(f"{PAGE}limits/", query).content.decode())
    assert at in over
    assert over == [
        datetime.fromisoformat(f"{start}+00:00").isoformat()
        for start in sorted(minutes)
        if minutes[start] > 500
    ]
