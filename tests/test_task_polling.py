"""Open tasks are polled at their provider until they end, whatever goes wrong on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.demo.provider import DevelopmentProvider, plan
from tasks import jobs
from tasks.following import clock, leases, polling, waits
from tasks.models import (
    AsyncTask,
    EventKind,
    EventReason,
    HostHealth,
    TaskEvent,
    TaskStatus,
)
from tasks.providers.catalogue import catalogue
from tests import task_cast as cast
from tests.work import counted

S = TaskStatus

# How far a task is, and who may be asked again, is a matter of seconds: none pass here.
pytestmark = pytest.mark.usefixtures("standing_clock")


@pytest.fixture
def provider(settings: SettingsWrapper) -> Iterator[DevelopmentProvider]:
    server = DevelopmentProvider().start()
    settings.OUTBOUND_ALLOWED = [server.url.removeprefix("http://")]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def alice(db: None) -> User:
    return cast.person()


@pytest.fixture
def edge(db: None) -> Gateway:
    return cast.gateway()


def key(platform: str, provider: DevelopmentProvider, gateway: Gateway | None = None) -> None:
    cast.a_key(platform, "secret", gateway=gateway, base_url=provider.url)


def host(provider: DevelopmentProvider) -> str:
    return provider.url.removeprefix("http://")


def ago(seconds: float, end: str = "succeeded", what: str = "video", length: float = 10) -> str:
    return plan(what, end, 1, start=time.time() - seconds, seconds=length)


def due(task: AsyncTask) -> None:
    AsyncTask.objects.filter(pk=task.pk).update(next_poll_at=timezone.now())


def poll_all() -> int:
    claimed = leases.claim(catalogue())
    for one in claimed:
        polling.poll(one.task_id, one.lease, catalogue())
    return len(claimed)


@pytest.mark.parametrize("platform", ["runway", "replicate", "suno"])
@pytest.mark.parametrize(
    ("end", "status"),
    [("succeeded", S.SUCCEEDED), ("failed", S.FAILED), ("moderated", S.MODERATED)],
)
def test_a_task_is_followed_to_its_end(
    provider: DevelopmentProvider, alice: User, edge: Gateway, platform: str, end: str, status: TaskStatus
) -> None:
    key(platform, provider)
    running = cast.a_task(alice, edge, platform=platform, provider_task_id=ago(5, end))
    ended = cast.a_task(alice, edge, platform=platform, provider_task_id=ago(60, end))
    assert poll_all() == 2
    running.refresh_from_db()
    ended.refresh_from_db()
    assert (running.status, running.lease, running.polls) == (S.RUNNING, None, 1)
    assert running.next_poll_at and running.next_poll_at > timezone.now()
    assert (ended.status, ended.next_poll_at) == (status, None)
    assert bool(ended.result) == (end == "succeeded")
    assert bool(ended.failure_message) == (end != "succeeded")
    # A poll's answer is of when it came.
    now = timezone.now()
    assert set(TaskEvent.objects.values_list("kind", "at")) == {(EventKind.POLL, now)}
    assert running.updated_at == ended.updated_at == now
    assert poll_all() == 0


def test_the_right_key_is_sent_and_a_gateways_own_comes_first(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("runway", provider)
    cast.a_key("runway", "own", gateway=edge, base_url=provider.url)
    task = cast.a_task(alice, edge)
    found = polling.credential_for(task)
    assert found and found.api_key.reveal() == "own"
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM tasks_providercredential")
        assert all("secret" not in stored and "own" not in stored for (stored,) in cursor.fetchall())


def test_without_a_key_the_provider_is_not_asked(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    task = cast.a_task(alice, edge)
    assert poll_all() == 1
    task.refresh_from_db()
    assert task.status == S.QUEUED and not provider.polls
    assert task.next_poll_at and task.next_poll_at > timezone.now() + timedelta(minutes=3)


def test_a_lost_lease_counts_for_nothing(provider: DevelopmentProvider, alice: User, edge: Gateway) -> None:
    key("runway", provider)
    task = cast.a_task(alice, edge, provider_task_id=ago(60))
    leases.claim(catalogue())
    polling.poll(task.pk, uuid4(), catalogue())
    assert not provider.polls
    assert not leases.claim(catalogue())  # still leased
    AsyncTask.objects.update(next_poll_at=timezone.now(), leased_until=timezone.now())  # the worker died
    assert poll_all() == 1
    task.refresh_from_db()
    assert task.status == S.SUCCEEDED


def test_a_poll_that_is_delivered_twice_is_one(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("runway", provider)
    task = cast.a_task(alice, edge, provider_task_id=ago(5))
    [claim] = leases.claim(catalogue())
    polling.poll(task.pk, claim.lease, catalogue())
    polling.poll(task.pk, claim.lease, catalogue())
    assert provider.polls.total() == 1
    assert TaskEvent.objects.filter(task=task, kind=EventKind.POLL).count() == 1


def test_no_more_polls_are_under_way_than_a_provider_takes(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    for _ in range(12):
        cast.a_task(alice, edge)
        cast.a_task(alice, edge, platform="suno")
    assert len(leases.claim(catalogue())) == 16
    assert not leases.claim(catalogue())


def test_a_provider_that_is_down_is_paused_and_the_others_go_on(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("suno", provider)
    elsewhere = cast.a_key("runway", "k", base_url="http://127.0.0.1:9")
    for _ in range(4):
        cast.a_task(alice, edge, provider_task_id=ago(60))
    music = cast.a_task(alice, edge, platform="suno", provider_task_id=ago(60))
    poll_all()
    music.refresh_from_db()
    assert music.status == S.SUCCEEDED
    AsyncTask.objects.filter(platform="runway").update(next_poll_at=timezone.now())
    # 127.0.0.1:9 is not allowed at all: refused, which says nothing about the provider.
    assert TaskEvent.objects.filter(reason=EventReason.FORBIDDEN_ADDRESS).count() == 4
    provider.down.set()
    elsewhere.delete()
    key("runway", provider)
    poll_all()
    health = HostHealth.objects.get(host=host(provider))
    # The fourth was claimed already, but finds the host paused.
    assert health.failures == 3 and health.paused_until and health.paused_until > timezone.now()
    AsyncTask.objects.filter(platform="runway").update(next_poll_at=timezone.now())
    assert poll_all() == 0
    # When the pause is over one task goes ahead; its answer opens the way for all.
    provider.down.clear()
    HostHealth.objects.update(paused_until=timezone.now())
    assert poll_all() == 1
    assert HostHealth.objects.get(host=host(provider)).failures == 0
    assert poll_all() == 3
    assert not AsyncTask.objects.exclude(status=S.SUCCEEDED).exists()


def test_retry_after_is_honoured(provider: DevelopmentProvider, alice: User, edge: Gateway) -> None:
    key("runway", provider)
    provider.faults = 1
    task = cast.a_task(alice, edge, provider_task_id=ago(60))
    poll_all()
    task.refresh_from_db()
    assert task.status == S.QUEUED
    event = TaskEvent.objects.get(task=task)
    assert (event.http_status, event.reason) == (429, EventReason.SLOWED)
    health = HostHealth.objects.get(host=host(provider))
    assert health.paused_until and health.paused_until > timezone.now()
    assert task.next_poll_at and task.next_poll_at >= health.paused_until - timedelta(seconds=1)


def test_past_its_deadline_a_task_expires_with_the_reason(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("runway", provider)
    slow = ago(60, length=1000)
    task = cast.a_task(alice, edge, provider_task_id=slow, deadline_at=timezone.now() - timedelta(minutes=1))
    poll_all()
    task.refresh_from_db()
    assert (task.status, task.failure_code) == (S.EXPIRED, "deadline")
    assert "Runway" in task.failure_message and "PENDING" in task.failure_message


def test_at_its_deadline_a_task_is_asked_about_once_more(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("runway", provider)
    task = cast.a_task(alice, edge, provider_task_id=ago(60), deadline_at=timezone.now())
    poll_all()
    task.refresh_from_db()
    assert task.status == S.SUCCEEDED


def test_a_provider_that_is_down_at_the_deadline_gets_an_hour_of_grace(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("runway", provider)
    provider.down.set()
    task = cast.a_task(alice, edge, deadline_at=timezone.now() - timedelta(minutes=5))
    poll_all()
    task.refresh_from_db()
    assert task.status == S.QUEUED
    AsyncTask.objects.update(deadline_at=timezone.now() - timedelta(hours=2), next_poll_at=timezone.now())
    HostHealth.objects.all().delete()
    poll_all()
    task.refresh_from_db()
    assert task.status == S.EXPIRED


def test_a_task_of_an_unknown_platform_expires_at_its_deadline(alice: User, edge: Gateway) -> None:
    task = cast.a_task(alice, edge, platform="nobody", deadline_at=timezone.now())
    poll_all()
    task.refresh_from_db()
    assert task.status == S.EXPIRED


def test_a_key_never_goes_where_a_gateway_says(
    provider: DevelopmentProvider, alice: User, edge: Gateway
) -> None:
    key("replicate", provider)
    task = cast.a_task(
        alice,
        edge,
        platform="replicate",
        poll_url="https://attacker.example/collect",
        provider_task_id=ago(60),
    )
    poll_all()
    task.refresh_from_db()
    assert task.status == S.SUCCEEDED  # asked at the provider's own address instead


def test_while_the_broker_is_away_tasks_stay_due(
    provider: DevelopmentProvider, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = cast.a_task(alice, edge)
    cast.a_task(alice, edge)

    def away(*args: object, **kwargs: object) -> None:
        raise BrokerError("Redis is down")

    monkeypatch.setattr(jobs.poll, "apply_async", away)
    assert jobs.dispatch() == 0
    task.refresh_from_db()
    assert task.lease is None and task.next_poll_at and task.next_poll_at <= clock.now()
    assert len(leases.claim(catalogue())) == 2


def test_backoff_grows_is_bounded_and_never_in_step() -> None:
    first, longest = timedelta(seconds=5), timedelta(seconds=60)
    found = [waits.backoff(first, longest, count).total_seconds() for count in range(40)]
    assert 3.75 <= found[0] <= 6.25
    assert all(wait <= 75 for wait in found) and min(found[20:]) >= 45
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_claiming_from_100000_open_tasks_stays_an_index_scan(alice: User, edge: Gateway) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tasks_asynctask (id, submitted_at, updated_at, user_id, gateway_id, task_id,"
            " provider_task_id, request_id, platform, type, status, provider_status, failure_code,"
            " failure_message, gateway_refunds, refund_due, poll_url, poll_parameters, next_poll_at, polls,"
            " poll_failures)"
            " SELECT gen_random_uuid(), now(), now(), %s, %s, 't' || n, 'p' || n, '',"
            " (ARRAY['runway', 'suno', 'kling'])[1 + n %% 3], 'video', 'running', '', '', '', false, false,"
            " '', '{}', now() - n * interval '1 millisecond', 0, 0 FROM generate_series(1, 100000) AS n",
            [alice.pk, edge.pk],
        )
        cursor.execute("ANALYZE tasks_asynctask")
        now = timezone.now()
        cursor.execute(
            "EXPLAIN " + leases.CLAIM, {"platform": "suno", "host": "", "now": now, "until": now, "limit": 8}
        )
        steps = "\n".join(step for (step,) in cursor.fetchall())
    assert "asynctask_due" in steps and "Seq Scan" not in steps and "Sort" not in steps, steps
    with counted("tasks_asynctask") as work:
        assert len(leases.claim(catalogue())) == 24
    assert work.read < 1000, work
