"""Why tasks ended badly: kept as they end, found and counted by, judged again; whoever writes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.models import ErrorTexts, Gateway, User
from routescope.data.ids import derived_id
from routescope.data.keyset import Cursor
from routescope.data.scopes import Scope
from tasks.following.lifecycle import transition
from tasks.maintenance import judging
from tasks.models import HAS_CAUSE, AsyncTask, EventKind, TaskHour, TaskStatus, TaskType
from tasks.outcomes import causes
from tasks.outcomes.causes import TaskCause, judged, verdict_on
from tasks.outcomes.observations import Observation
from tasks.providers.catalogue import catalogue
from tasks.sums import counts, pending
from tasks.tab import listing, menu_counts
from tasks.tab.filters import NARROWING, TaskFilter
from tests import task_cast

PAGE = "/records/tasks/"
S = TaskStatus
SAID = {
    "": "",
    "Your account balance is insufficient. Please top up.": TaskCause.BALANCE,
    "Rate limit exceeded, retry in 20 s.": TaskCause.RATE_LIMIT,
    "The prompt was flagged by our moderation system.": TaskCause.CONTENT_POLICY,
    "Something went wrong in an odd way.": TaskCause.UNKNOWN,
}


def filters(user: User, query: str = "") -> TaskFilter:
    return TaskFilter(QueryDict(query), scope=Scope.own(user), catalogue=catalogue())


@pytest.fixture
def mixed(alice: User, bob: User, gateway: Gateway) -> list[AsyncTask]:
    """Tasks of sixty days in every state, some of a stranger; none is judged yet."""
    return task_cast.a_mixture(alice, bob, gateway, 150, random.Random(random.random()), list(SAID))


def plain_cause(task: AsyncTask) -> str:
    """Return what a task's cause is, in plain words."""
    if task.status == S.MODERATED:
        return "content_policy"
    if task.status == S.EXPIRED:
        return "timeout"
    said = SAID[task.failure_message]
    if task.status == S.CANCELLED:
        return said if said and said != TaskCause.UNKNOWN else "cancelled"
    if task.status == S.FAILED or (task.status == S.PARTIALLY_SUCCEEDED and said):
        return said or "unknown"
    return ""


def value_of(task: AsyncTask, name: str) -> str:
    value = plain_cause(task) if name == "cause" else getattr(task, name)
    return value.name if hasattr(value, "name") and name in ("model", "token", "group") else str(value or "")


VALUES: dict[str, list[str]] = {
    "type": list(TaskType.values),
    "status": list(S.values),
    "cause": [cause.value for cause in TaskCause],
    "platform": ["runway", "suno"],
    "model": ["sora-2", "suno-v5"],
    "token": ["prod", "staging"],
    "group": ["default", "vip"],
}


def test_list_and_counts_are_those_of_plain_python_under_any_filter(
    alice: User, mixed: list[AsyncTask]
) -> None:
    assert {*VALUES, "person"} == set(NARROWING)
    assert judging.judge_unjudged(timedelta(minutes=1)) > 0
    for round_ in range(40):
        if round_ == 20:
            assert pending.fold() > 0
        chosen = {
            name: random.sample(values, random.randint(1, min(3, len(values))))
            for name, values in VALUES.items()
            if random.random() < 0.3
        }
        if round_ % 2:
            chosen["cause"] = random.sample(VALUES["cause"], 2)
        query = QueryDict(mutable=True)
        query["range"] = "all"
        for name, some in chosen.items():
            query.setlist(name, some)

        def meets(task: AsyncTask, besides: str = "", chosen: dict[str, list[str]] = chosen) -> bool:
            return all(value_of(task, name) in some for name, some in chosen.items() if name != besides)

        asked = filters(alice, query.urlencode())
        wanted = [task for task in mixed if meets(task)]
        page = listing.selected(Scope.own(alice), asked.selection, Cursor(), len(mixed))
        assert {task.pk for task in page.rows} == {task.pk for task in wanted}, query
        by_status = Counter(task.status for task in wanted)
        assert counts.by_status(Scope.own(alice), asked.selection) == by_status, query
        for of in VALUES:
            under_others = Counter(value_of(task, of) for task in mixed if meets(task, of))
            del under_others[""]
            assert menu_counts.counted(asked, of) == under_others, (of, query)
        for task in page.rows:
            verdict = verdict_on(task)
            assert (verdict.cause if verdict else "") == task.cause == plain_cause(task)
            assert causes.cause_of(task) == (verdict.cause if verdict else None)


def test_tasks_of_before_are_judged_in_steps(
    alice: User, mixed: list[AsyncTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "AT_ONCE", 7)
    before = counts.by_status(Scope.own(alice), filters(alice, "range=all").selection)
    due = sum(bool(judged(task)) for task in AsyncTask.objects.all())
    assert due > 14
    assert judging.judge_unjudged(timedelta(0)) == 0
    pending.fold()
    moments = iter([0.0, 0.1, 0.2, 99.0])
    monkeypatch.setattr(judging, "monotonic", lambda: next(moments))
    assert judging.judge_unjudged(timedelta(seconds=1)) == 14
    monkeypatch.undo()
    assert judging.judge_unjudged(timedelta(minutes=1)) == due - 14
    assert judging.judge_unjudged(timedelta(minutes=1)) == 0
    assert counts.by_status(Scope.own(alice), filters(alice, "range=all").selection) == before
    for _ in range(2):
        assert counted() == Counter(judged(task) for task in AsyncTask.objects.all())
        pending.fold()


def counted() -> Counter[str]:
    found: Counter[str] = Counter()
    for cause, tasks in TaskHour.objects.values_list("cause", "tasks"):
        found[cause] += tasks
    return +found


def test_where_to_look_for_what_is_to_be_judged_is_an_index(mixed: list[AsyncTask]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = on")
        due = AsyncTask.objects.filter(HAS_CAUSE, cause="").order_by("-id")[:5]
        assert "asynctask_unjudged" in due.explain()


def test_by_new_rules_all_are_judged_again_but_what_was_cut(
    alice: User, gateway: Gateway, mixed: list[AsyncTask], capsys: pytest.CaptureFixture[str]
) -> None:
    judging.judge_unjudged(timedelta(minutes=1))
    Gateway.objects.filter(pk=gateway.pk).update(error_texts=ErrorTexts.CODES)
    cut = task_cast.a_task(alice, gateway)
    _end(cut, failure_message="Your account balance is insufficient. Please top up.")
    right = dict(AsyncTask.objects.values_list("pk", "cause"))
    wrong = AsyncTask.objects.filter(cause="rate_limit").update(cause="permission")
    assert wrong and right[cut.pk] == "balance"
    shown = verdict_on(AsyncTask.objects.filter(cause="permission")[0])
    assert shown is not None and shown.cause is TaskCause.PERMISSION
    call_command("rejudge")
    told = capsys.readouterr().out
    assert f"{wrong} tasks changed" in told and "0 records changed" in told
    assert dict(AsyncTask.objects.values_list("pk", "cause")) == right
    assert counted() == Counter(right.values())


_keys = iter(range(10**6))


def _end(task: AsyncTask, status: TaskStatus = S.FAILED, **said: Any) -> AsyncTask:
    seen = Observation(key=str(next(_keys)), kind=EventKind.POLL, status=status, **said)
    return transition(task.pk, seen)[1]


def test_the_door_keeps_why_and_only_where_it_ended_so(alice: User, gateway: Gateway) -> None:
    said = "Your account balance is insufficient. Please top up."
    one = task_cast.a_task(alice, gateway)
    assert _end(one, S.RUNNING, failure_message=said).cause == ""
    assert _end(one, S.SUCCEEDED).cause == ""
    two = task_cast.a_task(alice, gateway)
    assert _end(two, S.PARTIALLY_SUCCEEDED).cause == ""
    # Why comes later, by a report about the finished task.
    assert _end(two, S.PARTIALLY_SUCCEEDED, failure_message=said).cause == "balance"
    assert _end(task_cast.a_task(alice, gateway), S.MODERATED).cause == "content_policy"
    assert _end(task_cast.a_task(alice, gateway), S.CANCELLED).cause == "cancelled"
    assert not AsyncTask.objects.filter(HAS_CAUSE, cause="").exists()


def test_what_was_judged_before_it_was_cut_waits_for_the_end(alice: User, gateway: Gateway) -> None:
    Gateway.objects.filter(pk=gateway.pk).update(error_texts=ErrorTexts.CODES)
    task = task_cast.a_task(alice, gateway)
    running = _end(task, S.RUNNING, failure_message="Your account balance is insufficient. Please top up.")
    assert running.cause == "" and "balance" not in running.failure_message
    assert _end(task, S.FAILED).cause == "balance"


def test_the_cause_in_the_list_leads_to_its_likes(
    alice: User, alice_client: Client, gateway: Gateway
) -> None:
    said = "Your account balance is insufficient. Please top up."
    _end(task_cast.a_task(alice, gateway, task_id="poor"), failure_message=said)
    _end(task_cast.a_task(alice, gateway, task_id="odd"), failure_message="It broke.")
    page = alice_client.get(PAGE).content.decode()
    assert 'data-counts="/records/tasks/counts/"' in page and 'id="menu-cause"' in page
    row = next(row for row in page.split("<tr ")[1:] if 'title="poor"' in row)
    assert 'href="?cause=balance">Balance</a>' in row
    narrowed = alice_client.get(PAGE, {"cause": ["balance", "timeout"]}).content.decode()
    assert 'title="poor"' in narrowed and 'title="odd"' not in narrowed
    assert "Cause: Balance" in narrowed and "Cause: Timeout" in narrowed
    answer = alice_client.get(f"{PAGE}counts/", {"menu": "cause", "cause": "balance"}).json()
    assert answer == {"known": True, "counts": {"balance": "1", "unknown": "1"}}
    assert alice_client.get(f"{PAGE}counts/", {"menu": "cause", "task_id": "poor"}).json()["known"] is False
    assert alice_client.get(f"{PAGE}counts/", {"menu": "colour"}).status_code == 404
    assert Client().get(f"{PAGE}counts/", {"menu": "cause"}).status_code == 302


@pytest.fixture
def earlier(transactional_db: None) -> Iterator[Any]:
    """The database of before causes were counted; it is today's again afterwards."""
    executor = MigrationExecutor(connection)
    [today] = executor.loader.graph.leaf_nodes("tasks")
    executor.migrate([("tasks", "0009_sums")])
    try:
        yield executor.loader.project_state([("tasks", "0009_sums")]).apps
    finally:
        MigrationExecutor(connection).migrate([today])


def test_tasks_of_before_stay_counted_and_are_judged_later(
    alice: User, gateway: Gateway, earlier: Any
) -> None:
    old = earlier.get_model("tasks", "AsyncTask")
    rows = [
        {"status": "failed", "failure_message": "Rate limit exceeded."},
        {"status": "failed", "failure_message": "[not kept]", "cause": "balance"},
        {"status": "running", "failure_message": "[not kept]", "cause": "balance"},
        {"status": "succeeded"},
    ]
    for number, row in enumerate(rows):
        fields = {"user_id": alice.pk, "gateway_id": gateway.pk, "platform": "runway", "type": "video", **row}
        at = timezone.now() - timedelta(minutes=number + 1)
        identifier = derived_id(at, gateway.pk, str(number))
        old.objects.create(id=identifier, submitted_at=at, task_id=f"t{number}", **fields)
    MigrationExecutor(connection).migrate([("tasks", "0011_unjudged")])
    assert counted() == {"": 4}
    everything = filters(alice, "range=all").selection
    assert counts.by_status(Scope.own(alice), everything) == {"failed": 2, "running": 1, "succeeded": 1}
    assert judging.judge_unjudged(timedelta(minutes=1)) == 2
    assert counted() == {"": 2, "rate_limit": 1, "balance": 1}
    assert _end(AsyncTask.objects.get(task_id="t2")).cause == "balance"
    pending.fold()
    assert counted() == {"": 1, "rate_limit": 1, "balance": 2}
    # And back: nothing is lost of what is counted.
    MigrationExecutor(connection).migrate([("tasks", "0009_sums")])
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, sum(tasks) FROM tasks_hour GROUP BY status")
        assert dict(cursor.fetchall()) == {"failed": 3, "succeeded": 1}
        cursor.execute("SELECT task_id, cause FROM tasks_asynctask WHERE cause <> ''")
        assert dict(cursor.fetchall()) == {"t1": "balance", "t2": "balance"}
