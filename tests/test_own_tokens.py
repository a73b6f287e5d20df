"""The API tokens page: one's own tokens with peaks against limits, spend and last use, and nobody else's."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from time_machine import TimeMachineFixture

from accounts.identities import merging
from accounts.models import ApiToken, Gateway, Group, User
from logs.models import Status, UsageRecord
from logs.models.events import Failure
from logs.rollups import own_tokens, token_peaks
from logs.rollups.buckets import Peak
from logs.rollups.token_peaks import Gauge
from routescope.data.ranges import HOUR, MINUTE, TimeRange
from routescope.data.scopes import Scope
from routescope.web import notices
from tests.cast import NOON, event, signed_in, store

LIMITED: dict[str, Any] = {
    "status": Status.ERROR,
    "http_status": 429,
    "error": Failure(type="rate_limit_error", message="Too many requests."),
}


@pytest.fixture
def at_noon(time_machine: TimeMachineFixture) -> datetime:
    """In the middle of a month: two hours ago belong to it."""
    time_machine.move_to(NOON, tick=False)
    return NOON


def row(page: str, token: str) -> str:
    """Return the row of a token, as text without tags."""
    found = re.search(rf'<tr data-token="{token}">(.*?)</tr>', page, re.DOTALL)
    assert found is not None, token
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def test_a_token_shows_its_peaks_limits_last_use_and_spend(
    alice: User, gateway: Gateway, at_noon: datetime, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(alice)
    store(
        gateway,
        *(
            event(created_at=at_noon - 2 * HOUR + timedelta(seconds=n), cost=Decimal("0.25"))
            for n in range(5)
        ),
        event(cost=Decimal("0.5"), created_at=at_noon - timedelta(days=2)),
        event(cost=Decimal("0.5"), created_at=at_noon - timedelta(days=60)),
        event(cost=Decimal(9), created_at=at_noon, token=""),
        event(created_at=at_noon - 3 * HOUR, cost=Decimal(0), **LIMITED),
    )
    vip = Group.objects.create(name="vip", ratio=Decimal("0.8"))
    ApiToken.objects.update(
        masked_key="sk-a…9f", rpm_limit=4, tpm_limit=1000, group=vip, allowed_models=["gpt-5", "gpt-5-mini"],
        expires_at=at_noon + timedelta(days=30), budget=10, budget_spent=Decimal("2.5"),
    )  # fmt: skip
    ApiToken.objects.create(owner=alice, name="unused", status=ApiToken.Status.DISABLED)
    notices.current()  # Which one page in two seconds asks.
    with django_assert_max_num_queries(17):
        page = client.get("/tokens/").content.decode()
    shown = row(page, "prod")
    for words in (
        "sk-a…9f vip × 0.8 2 models expires 2026-04-09",
        "5 of 4 RPM 125%", "1 over · 10:00", "600 of 1,000 TPM 60%", "400 left · 10:00",
        "1 minute over", "1 call refused (429)",
        "$1.25", "today $1.25", "this month $1.75", "$2.50 of $10.00 budget",
    ):  # fmt: skip
        assert words in shown, words
    assert re.findall(r'data-value="([^"]*)"', page) == ["1.25", "0"]
    assert 'href="/records/usage/limits/?token=prod"' in page
    assert 'href="/records/usage/?token=prod"' in page
    unused = row(page, "unused")
    for words in ("Disabled", "no limits known", "no group known", "no calls in this range", "never"):
        assert words in unused, words
    assert 'href="/tokens/" aria-current="page"' in page


def test_the_range_is_kept_in_every_address(alice: User, gateway: Gateway, at_noon: datetime) -> None:
    store(gateway, event(created_at=at_noon - timedelta(days=3), cost=Decimal(2)))
    page = signed_in(alice).get("/tokens/", {"range": "7d"}).content.decode()
    assert "$2.00" in row(page, "prod")
    assert 'href="/records/usage/limits/?range=7d&amp;token=prod"' in page
    assert "no calls in this range" in row(signed_in(alice).get("/tokens/").content.decode(), "prod")
    odd = signed_in(alice).get("/tokens/", {"start": "no time", "range": "custom"})
    assert odd.status_code == 200


def test_another_persons_tokens_are_not_shown(alice: User, bob: User, gateway: Gateway) -> None:
    store(gateway, event(token="alices-own"))
    assert "alices-own" not in signed_in(bob).get("/tokens/").content.decode()


@pytest.mark.parametrize("seed", range(3))
def test_peaks_are_those_of_plain_python(alice: User, gateway: Gateway, seed: int) -> None:
    rng = random.Random(seed)
    tokens = ["a", "b", "c"]
    store(
        gateway,
        *(
            event(
                created_at=NOON + timedelta(seconds=rng.randrange(1800), milliseconds=number),
                token=rng.choice(tokens),
                input_tokens=rng.randrange(500),
                output_tokens=rng.randrange(50),
            )
            for number in range(200)
        ),
        ties=True,
    )
    ApiToken.objects.update(rpm_limit=3, tpm_limit=900)
    mine = list(ApiToken.objects.filter(owner=alice))
    merging.merge(mine[1], mine[0])
    mine = list(ApiToken.objects.filter(owner=alice))
    heads = {token.pk: token.merged_into_id or token.pk for token in mine}
    chosen = TimeRange(NOON + 3 * MINUTE, NOON + 25 * MINUTE + timedelta(seconds=30))
    requests: Counter[tuple[int, datetime]] = Counter()
    amounts: Counter[tuple[int, datetime]] = Counter()
    for one in UsageRecord.objects.all():
        if one.created_at in chosen:
            place = heads[one.token_id or 0], one.created_at.replace(second=0, microsecond=0)
            requests[place] += 1
            amounts[place] += one.input_tokens + one.output_tokens
    found = token_peaks.peaks(Scope.own(alice), mine, chosen, NOON + HOUR)
    assert set(found) == set(heads.values())
    for head, peaks in found.items():
        for gauge, counted in ((peaks.rpm, requests), (peaks.tpm, amounts)):
            minutes = {at: value for (token, at), value in counted.items() if token == head}
            most = max(minutes.values())
            assert gauge.peak == Peak(most, min(at for at, value in minutes.items() if value == most))
        over = [
            place for place in requests if place[0] == head and (requests[place] > 3 or amounts[place] > 900)
        ]
        assert peaks.minutes_over == len(over)


def test_peaks_of_too_many_records_are_of_the_newest_and_say_so(
    alice: User, gateway: Gateway, at_noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [event(created_at=at_noon - 5 * HOUR + timedelta(seconds=n)) for n in range(9)]
    store(gateway, *old, *(event(created_at=at_noon - 2 * HOUR + timedelta(seconds=n)) for n in range(2)))
    client = signed_in(alice)
    assert "9 RPM" in row(client.get("/tokens/").content.decode(), "prod")
    monkeypatch.setattr(token_peaks, "MOST_COUNTED", 5)
    page = client.get("/tokens/").content.decode()
    assert "2 RPM" in row(page, "prod")
    assert "the range holds more records than can be counted by the minute at once" in page
    assert "11 requests" in page


def test_only_so_many_tokens_are_shown(
    alice: User, gateway: Gateway, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(gateway, *(event(token=f"token-{number}") for number in range(4)))
    monkeypatch.setattr(own_tokens, "MOST_SHOWN", 3)
    page = alice_client.get("/tokens/").content.decode()
    assert page.count("data-token=") == 3
    assert "The 3 most recently used of 4 tokens." in page


@pytest.mark.parametrize(
    ("value", "limit", "percent", "over", "headroom", "kind"),
    [
        (62, 60, 103, 2, 0, "over"),
        (60, 60, 100, 0, 0, "near"),
        (59_999, 60_000, 99, 0, 1, "near"),
        (30, 60, 50, 0, 30, "ok"),
        (3, None, None, 0, None, "free"),
        (1, 0, None, 1, 0, "over"),
        (0, 0, None, 0, 0, "ok"),
    ],
)
def test_a_peak_is_told_against_its_limit(
    value: int, limit: int | None, percent: int | None, over: int, headroom: int | None, kind: str
) -> None:
    gauge = Gauge(Peak(value, NOON), limit)
    assert (gauge.percent, gauge.over, gauge.headroom, gauge.kind) == (percent, over, headroom, kind)
    assert 0 <= gauge.filled <= gauge.filled + gauge.beyond <= 100.1


# --- One token's page ------------------------------------------------------------------------------------

PAGE = "/records/usage/limits/"
AN_HOUR = {"start": NOON.isoformat(), "end": (NOON + HOUR).isoformat()}


def test_a_tokens_page_says_what_it_may_do_and_who_said_so(alice: User, gateway: Gateway) -> None:
    store(gateway, event(), event(**LIMITED))
    ApiToken.objects.update(rpm_limit=1, allowed_models=[], set_by_admin=["rpm_limit"], told_at=NOON)
    page = signed_in(alice).get(PAGE, {"token": "prod", **AN_HOUR}).content.decode()
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    for words in (
        "RPM limit 1 set by an admin", "Models any", "Last reported by the gateway with a call at 2026-03-10",
        "Ask whoever runs the gateway for a higher limit", "1 minute over a limit", "2 of 1 RPM 200%",
    ):  # fmt: skip
        assert words in text, words
    assert 'class="over-marks"' in page
    assert "Set it in the admin" not in page
    # The range is in every way on, and what else is filtered for is not.
    asked = QueryDict(mutable=True)
    asked.update({"token": "prod", "range": "7d", "model": "none", "status": "success"})
    page = signed_in(alice).get(f"{PAGE}?{asked.urlencode()}").content.decode()
    assert "model=none" not in page.partition("<main")[2].partition("</main>")[0]
    assert f'href="{PAGE}?range=30d&amp;token=prod"' in page
    assert '<a href="/records/usage/?range=7d&amp;token=prod">' in page


def test_a_token_without_limits_says_so_and_shows_its_peaks(alice: User, gateway: Gateway) -> None:
    store(gateway, event())
    page = signed_in(alice).get(PAGE, {"token": "prod", **AN_HOUR}).content.decode()
    assert "No limits are known for this token" in page
    assert 'data-gauge="RPM" data-peak="1"' in page
    assert "minutes-over" not in page


def test_whom_to_ask_is_the_operators_word(alice: User, admin: User, gateway: Gateway, settings: Any) -> None:
    store(gateway, event(), event(user=str(admin.email)))
    for said, link in (
        ("help@gateway.example", 'href="mailto:help@gateway.example"'),
        ("https://gateway.example/limits", 'href="https://gateway.example/limits"'),
    ):
        settings.SUPPORT_CONTACT = said
        assert link in signed_in(alice).get(PAGE, {"token": "prod"}).content.decode()
    assert "Set it in the admin" in signed_in(admin).get(PAGE, {"token": "prod"}).content.decode()


def test_a_refused_call_leads_to_its_tokens_page(alice: User, gateway: Gateway) -> None:
    store(gateway, event(request_id="refused", **LIMITED), event(request_id="fine"))
    client = signed_in(alice)
    around = "?token=prod&amp;start=2026-03-10T11%3A30Z&amp;end=2026-03-10T12%3A30Z"
    for request_id, links in (("refused", 2), ("fine", 1)):
        page = client.get("/records/usage/", {"request_id": request_id}).content.decode()
        assert page.count(f'href="{PAGE}{around}"') == links
    ApiToken.objects.update(rpm_limit=1)
    page = client.get("/records/usage/", {"token": "prod", **AN_HOUR}).content.decode()
    assert "1 minute over a limit" in page
    note = re.search('<p class="limit-note">.*?</p>', page, re.DOTALL)
    assert note is not None
    assert note[0].count(f'href="{PAGE}?') == 2
