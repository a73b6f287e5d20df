"""Health, pauses and places go by host: one that is down, slow or crowded holds up itself and nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.demo.provider import DevelopmentProvider, plan
from tasks import jobs
from tasks.following import health, leases, polling, shares
from tasks.following.leases import Begun
from tasks.following.shares import Running
from tasks.models import AsyncTask, HostHealth, TaskStatus
from tasks.providers.catalogue import catalogue
from tests import task_cast as cast
from tests.cast import signed_in

NOW = datetime.fromisoformat("2026-11-26T12:00:00Z")


@pytest.fixture
def providers(settings: SettingsWrapper) -> Iterator[tuple[DevelopmentProvider, DevelopmentProvider]]:
    servers = (DevelopmentProvider().start(), DevelopmentProvider().start())
    settings.OUTBOUND_ALLOWED = ["127.0.0.1"]
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def alice(db: None) -> User:
    return cast.person()


@pytest.fixture
def edge(db: None) -> Gateway:
    return cast.gateway()


def at(server: DevelopmentProvider, alice: User, edge: Gateway, **fields: object) -> AsyncTask:
    """A task of the platform that may be any host, which has ended at this one."""
    name = plan("image", "succeeded", 1, start=time.time() - 60, seconds=10)
    url = f"{server.url}/v1/predictions/{name}"
    return cast.a_task(alice, edge, platform="generic", poll_url=url, **fields)


def host(server: DevelopmentProvider) -> str:
    return server.url.removeprefix("http://")


def due() -> None:
    AsyncTask.objects.filter(next_poll_at__isnull=False).update(next_poll_at=timezone.now())


def poll_all() -> int:
    claimed = leases.claim(catalogue())
    for one in claimed:
        polling.poll(one.task_id, one.lease, catalogue())
    return len(claimed)


def test_a_host_that_is_down_pauses_no_other_of_the_same_platform(
    providers: tuple[DevelopmentProvider, DevelopmentProvider], alice: User, edge: Gateway
) -> None:
    down, well = providers
    down.down.set()
    for _ in range(4):
        at(down, alice, edge)
    poll_all()
    assert health.is_paused(health.of(host(down)), timezone.now())
    good = [at(well, alice, edge) for _ in range(3)]
    due()
    poll_all()
    for task in good:
        task.refresh_from_db()
        assert task.status == TaskStatus.SUCCEEDED
    assert health.of(host(well)) is None and not well.polls.total() < 3


def test_one_host_under_two_platforms_shares_its_pause(
    providers: tuple[DevelopmentProvider, DevelopmentProvider], alice: User, edge: Gateway
) -> None:
    down, _ = providers
    down.down.set()
    for platform in ("runway", "suno"):
        cast.a_key(platform, "k", base_url=down.url)
    for _ in range(4):
        cast.a_task(alice, edge, platform="runway")
    poll_all()
    assert HostHealth.objects.get().host == host(down)
    music = [cast.a_task(alice, edge, platform="suno") for _ in range(3)]
    poll_all()
    for task in music:
        task.refresh_from_db()
        # Claimed once, since nobody had told its host yet, and let go without a poll.
        assert (task.polls, task.lease, task.poll_host) == (0, None, host(down))
    due()
    assert leases.claim(catalogue()) == []


def test_registered_tasks_know_their_host_at_once(
    providers: tuple[DevelopmentProvider, DevelopmentProvider], alice: User, edge: Gateway
) -> None:
    down, well = providers
    own, general = cast.gateway("own"), edge
    cast.a_key("runway", "k", base_url=well.url)
    cast.a_key("runway", "k", base_url=down.url, gateway=own)
    for sender, expected in ((general, host(well)), (own, host(down))):
        body = {
            "task_id": f"of {sender.name}",
            "created_at": timezone.now().isoformat(),
            "user": "alice@example.com",
            "platform": "runway",
            "provider_task_id": "rw-1",
        }
        answer = Client().post("/api/v1/tasks", body, "application/json", headers=cast.key(sender))
        assert answer.status_code == 200, answer.content
        assert AsyncTask.objects.get(gateway=sender).poll_host == expected


def test_a_crowded_host_takes_its_own_places_and_others_have_theirs(alice: User, edge: Gateway) -> None:
    for _ in range(60):
        cast.a_task(
            alice, edge, platform="generic", poll_url="https://crowd.example/x", poll_host="crowd.example"
        )
    other = cast.a_task(
        alice, edge, platform="generic", poll_url="https://o.example/x", poll_host="o.example"
    )
    claimed = leases.claim(catalogue())
    assert len(claimed) == 9 and other.pk in {claim.task_id for claim in claimed}
    assert leases.claim(catalogue()) == []


def test_places_are_shared_out_equally_when_there_are_too_few(
    alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "MAX_UNDER_WAY", 12)
    for name in ("a", "b", "c"):
        for _ in range(20):
            cast.a_task(alice, edge, platform="generic", poll_host=f"{name}.example")
    claimed = {claim.task_id for claim in leases.claim(catalogue())}
    hosts = AsyncTask.objects.filter(pk__in=claimed).values_list("poll_host", flat=True)
    assert len(claimed) == 12 and all(list(hosts).count(f"{name}.example") == 4 for name in "abc")
    assert leases.claim(catalogue()) == []


def test_more_hosts_than_one_run_looks_at_have_their_turn(
    alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "MAX_GROUPS", 4)
    for number in range(11):
        cast.a_task(alice, edge, platform="generic", poll_host=f"h{number:02}.example")
    cast.a_task(alice, edge, platform="", poll_host="")
    for _ in range(8):
        leases.claim(catalogue())
    assert not AsyncTask.objects.filter(lease=None).exists()


def test_what_goes_wrong_with_one_host_is_logged_and_stops_no_other(
    alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("odd", "well"):
        cast.a_task(alice, edge, platform="generic", poll_host=f"{name}.example")
    of = leases.claim_of

    def broken(group: leases.Group, most: int, now: datetime) -> list[leases.Claim]:
        if group.host == "odd.example":
            raise KeyError("a slip of ours")
        return of(group, most, now)

    monkeypatch.setattr(leases, "claim_of", broken)
    assert len(leases.claim(catalogue())) == 1
    assert "a slip of ours" in caplog.text


def test_a_host_that_answers_again_is_well_whatever_it_answers(
    providers: tuple[DevelopmentProvider, DevelopmentProvider], alice: User, edge: Gateway
) -> None:
    """The one task that probes after a pause may be one that the host does not know."""
    server, _ = providers
    unknown = cast.a_task(
        alice, edge, platform="generic", poll_url=f"{server.url}/nobody/knows", poll_host=host(server)
    )
    HostHealth.objects.create(host=host(server), failures=9, paused_until=timezone.now())
    assert poll_all() == 1
    unknown.refresh_from_db()
    assert unknown.poll_failures == 1
    for _ in range(5):
        at(server, alice, edge, poll_host=host(server))
    assert len(leases.claim(catalogue())) == 5


# --- Slow hosts --------------------------------------------------------------------------------------------


def test_a_slow_host_is_known_for_one_and_gets_its_share(
    providers: tuple[DevelopmentProvider, DevelopmentProvider],
    alice: User,
    edge: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, _ = providers
    monkeypatch.setattr(health, "SLOW", timedelta(0))
    at(slow, alice, edge)
    assert poll_all() == 1
    assert health.is_slow(health.of(host(slow)), timezone.now())
    for _ in range(6):
        at(slow, alice, edge, poll_host=host(slow))
    # Two places, of which slow hosts have one.
    assert len(leases.claim(catalogue())) == 1
    monkeypatch.undo()
    AsyncTask.objects.update(lease=None, leased_until=None, next_poll_at=timezone.now())


def test_a_host_that_is_quick_again_is_slow_no_more(db: None) -> None:
    quick, slow = timedelta(milliseconds=50), timedelta(seconds=5)
    health.note("h.example", health.PollOutcome(answered=True, took=slow), NOW)
    assert health.is_slow(health.of("h.example"), NOW)
    health.note("h.example", health.PollOutcome(answered=True, took=quick), NOW)
    assert not health.is_slow(health.of("h.example"), NOW)


def test_slow_polls_together_hold_half_of_the_places() -> None:
    def may(host: str, *running: Running, anyones: bool = False, places: int = 4) -> bool:
        return shares.may_begin(
            host,
            is_anyones=anyones,
            running=running,
            slow_hosts={"slow-1", "slow-2", "slow-3"},
            places=places,
            now=NOW,
        )

    long, fresh = NOW - timedelta(seconds=4), NOW - timedelta(seconds=1)
    assert may("slow-1", Running("slow-2", False, fresh))
    assert not may("slow-1", Running("slow-2", False, fresh), Running("slow-3", False, fresh))
    assert may("quick", Running("slow-2", False, long), Running("slow-3", False, long))
    # New hosts without end, each of them slow: what may be any host has half of the places for its long ones.
    strange = [Running(f"new-{number}", True, long) for number in range(2)]
    assert not may("new-9", *strange, anyones=True)
    assert may("named", *strange)
    assert may("new-9", *(Running(f"new-{number}", True, fresh) for number in range(3)), anyones=True)
    assert may("slow-1", places=1)


def test_a_poll_that_finds_no_place_is_let_go_and_is_no_try(
    alice: User, edge: Gateway, settings: SettingsWrapper
) -> None:
    settings.WORKER_PROCESSES = 2
    HostHealth.objects.create(host="slow.example", slow_until=timezone.now() + timedelta(minutes=5))
    holder, other = (
        cast.a_task(alice, edge, platform="generic", poll_host=f"{name}.example") for name in ("a", "b")
    )
    found = {claim.task_id: claim.lease for claim in leases.claim(catalogue())}
    assert leases.begin(holder, found[holder.pk], "slow.example", anyones=[]) is Begun.YES
    assert leases.begin(other, found[other.pk], "slow.example", anyones=[]) is Begun.NOT_NOW
    other.refresh_from_db()
    assert (other.lease, other.polls, other.poll_host) == (None, 0, "slow.example")
    assert other.next_poll_at and other.next_poll_at > timezone.now()
    assert leases.begin(other, uuid4(), "slow.example", anyones=[]) is Begun.LOST


# --- What is remembered ------------------------------------------------------------------------------------


def test_hosts_that_are_well_are_not_remembered(db: None) -> None:
    health.note("h.example", health.PollOutcome(answered=True, took=timedelta(seconds=1)), NOW)
    health.note("", health.PollOutcome(answered=False, took=timedelta(seconds=1), failure="down"), NOW)
    assert not HostHealth.objects.exists()


def test_no_more_hosts_are_remembered_than_there_is_room_for(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_HOSTS", 5)
    down = health.PollOutcome(answered=False, took=timedelta(seconds=1), failure="down")
    for number in range(3):
        health.note("down.example", down, NOW + timedelta(seconds=number))
    for number in range(20):
        health.note(f"h{number}.example", down, NOW + timedelta(minutes=1 + number))
    kept = set(HostHealth.objects.values_list("host", flat=True))
    assert len(kept) == 5 and {"down.example", "h19.example"} <= kept


def test_hosts_of_which_nothing_is_noted_are_forgotten_by_the_job(db: None) -> None:
    old = timezone.now() - health.KEPT - timedelta(hours=1)
    HostHealth.objects.create(host="old.example", failures=2, noted_at=old)
    HostHealth.objects.create(host="new.example", failures=2)
    jobs.tidy()
    assert list(HostHealth.objects.values_list("host", flat=True)) == ["new.example"]


def test_a_pause_that_was_set_in_the_future_is_none(db: None) -> None:
    row = HostHealth(host="h", paused_until=NOW + timedelta(seconds=90), noted_at=NOW)
    assert health.is_paused(row, NOW + timedelta(seconds=60))
    assert not health.is_paused(row, NOW + timedelta(seconds=91))
    assert not health.is_paused(row, NOW - timedelta(hours=1))


def test_admins_see_the_health_of_hosts(admin: User) -> None:
    HostHealth.objects.create(host="relay.example:8443", failures=4, last_error="HTTP 502")
    page = signed_in(admin).get("/admin/tasks/hosthealth/").content.decode()
    assert "relay.example:8443" in page and "HTTP 502" in page
