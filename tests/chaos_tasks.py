"""A thousand tasks at three providers, one of them down for a while; two workers, killed and restarted at
random.

``python -m tests.chaos_tasks`` (with the embedded engines, in a database of its own state folder). Prints
figures; exits with 1 if a task did not end as its provider says, or an event or a refund is there twice.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

FAULTS = 40
ENDS = {"succeeded": "succeeded", "failed": "failed", "moderated": "moderated"}
PLATFORMS = ("runway", "replicate", "suno")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--down", type=float, default=30, help="seconds that one provider is down")
    parser.add_argument("--redis-down", type=float, default=0, help="seconds that Redis is stopped")
    parser.add_argument("--patience", type=float, default=420, help="seconds until all must have ended")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rs-chaos-", ignore_cleanup_errors=True) as state:
        os.environ["ROUTESCOPE_STATE"] = state
        os.environ["OUTBOUND_ALLOWED"] = "127.0.0.1"
        os.environ["DJANGO_SETTINGS_MODULE"] = "routescope.settings"
        os.environ["LOG_LEVEL"] = "ERROR"
        import django

        from routescope import embedded

        django.setup()
        with embedded.engines():
            return run(options.tasks, options.down, options.redis_down, options.patience)


def run(count: int, down: float, redis_down: float, patience: float) -> int:
    from django.core.management import call_command
    from django.db.models import Count
    from django.utils import timezone

    from accounts.models import Gateway
    from logs.ingest import batches
    from logs.models import RecordType, UsageDay, UsageRecord
    from logs.models.events import Batch, UsageEvent
    from routescope.demo.provider import DevelopmentProvider, plan
    from tasks.models import OPEN_STATUSES, AsyncTask, EventKind, TaskEvent
    from tests.task_cast import a_key, a_task, known_as, person

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    alice, edge = person(), Gateway.objects.create(name="edge")
    known_as(edge, alice, "alice")
    providers = {platform: DevelopmentProvider(faults=FAULTS).start() for platform in PLATFORMS}
    for platform, provider in providers.items():
        a_key(platform, "k", base_url=provider.url)
    say(f"registering {count} tasks over {len(PLATFORMS)} providers")
    events, begun, now = [], time.time(), timezone.now()
    for number in range(count):
        end = random.choices(list(ENDS), (80, 14, 6))[0]
        task = a_task(
            alice,
            edge,
            platform=PLATFORMS[number % 3],
            task_id=f"task_{end}_{number}",
            request_id=f"req_{number}",
            provider_task_id=plan("image", end, number, start=begun, seconds=random.uniform(5, 60)),
            submitted_at=now - timedelta(seconds=count - number),
            next_poll_at=now,
        )
        events.append(
            UsageEvent(
                request_id=task.request_id,
                created_at=task.submitted_at,
                type=RecordType.TASK,
                user="alice",
                cost=Decimal("0.01"),
                task_id=task.task_id,
            )
        )
    batches.store(edge, Batch(events=list(enumerate(events)), rejected=[]))
    workers = [Worker(number) for number in (1, 2)]
    beat = celery("beat", f"--schedule={os.environ['ROUTESCOPE_STATE']}/beat")
    started, kills, outage, redis_outage = time.monotonic(), 0, False, False
    next_kill = started + 4
    providers["suno"].down.set()
    outage = True
    try:
        while time.monotonic() - started < patience:
            time.sleep(0.5)
            clock = time.monotonic() - started
            if outage and clock > down:
                providers["suno"].down.clear()
                outage = False
                say(f"{clock:5.1f} s  suno is back")
            if redis_down and not redis_outage and clock > 8:
                redis_outage = True
                stop_redis(redis_down)
                say(f"{time.monotonic() - started:5.1f} s  Redis runs again")
            if time.monotonic() > next_kill:
                random.choice(workers).kill_and_restart()
                kills += 1
                next_kill = time.monotonic() + random.uniform(2, 7)
            left = AsyncTask.objects.filter(status__in=OPEN_STATUSES).count()
            if kills % 4 == 0:
                say(f"{clock:5.1f} s  {left} open, {kills} kills")
            if not left:
                break
    finally:
        for process in [*(worker.process for worker in workers), beat]:
            kill(process)
    took = time.monotonic() - started
    rows = AsyncTask.objects.all()
    wrong = [row.task_id for row in rows if row.status != ENDS[row.task_id.split("_")[1]]]
    unsuccessful = sum(row.is_unsuccessful for row in rows)
    changes = TaskEvent.objects.filter(after__in=["succeeded", "failed", "moderated"])
    twice = changes.values("task").annotate(n=Count("pk")).filter(n__gt=1).count()
    refunds = UsageRecord.objects.filter(type=RecordType.REFUND).count()
    refund_events = TaskEvent.objects.filter(kind=EventKind.REFUND).count()
    spent = sum(UsageDay.objects.values_list("cost", flat=True), Decimal())
    polls = Counter({platform: provider.polls.total() for platform, provider in providers.items()})
    kept = TaskEvent.objects.filter(kind=EventKind.POLL).count()
    say(f"all ended after {took:.1f} s, with {kills} kills (SIGKILL) of a worker")
    say(f"wrong or lost: {len(wrong)}; ended twice: {twice}; unsuccessful {unsuccessful}, refunds {refunds},")
    say(f"refund events {refund_events}; charged in the end ${spent} of ${Decimal('0.01') * count}")
    say(f"polls answered: {dict(polls)}, {sum(polls.values()) / count:.2f} a task; poll events kept {kept}")
    good = not wrong and not twice and refunds == unsuccessful == refund_events
    good = good and spent == Decimal("0.01") * (count - unsuccessful)
    say("good" if good else f"NOT GOOD: {wrong[:5]}")
    return 0 if good else 1


class Worker:
    def __init__(self, number: int) -> None:
        self.number = number
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        return celery("worker", "--concurrency=2", f"--hostname=w{self.number}-{time.time_ns()}@chaos")

    def kill_and_restart(self) -> None:
        kill(self.process)
        self.process = self.start()


def celery(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "--app=routescope", "--quiet", *arguments, "--loglevel=ERROR"]
    return subprocess.Popen(command, start_new_session=True, cwd=Path(__file__).parent.parent)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop_redis(seconds: float) -> None:
    """Stop Redis as a crash does to its clients: it answers nothing for a while."""
    import redis
    from django.conf import settings

    client = redis.Redis(unix_socket_path=settings.REDIS_URL.partition("://")[2].partition("?")[0])
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
