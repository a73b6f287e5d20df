"""People of every kind, teams, and records and tasks of each with words of their own: who sees which."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.models import AIModel, Gateway, Membership, Team, User
from logs.models import ContentPolicy, Level, Status, UsageRecord
from logs.models.events import Failure
from routescope.data.ranges import TimeRange
from tasks.models import TaskStatus
from tests.cast import event, signed_in, store
from tests.moments import records as moments
from tests.task_cast import a_task

_DAYS = (19.1, 13.2, 8.3, 4.6, 2.2, 0.4)


@dataclass
class Row:
    """A record or a task: its number is in its words."""

    number: int
    owner: User
    at: datetime
    is_task: bool
    pk: str = ""


@dataclass
class World:
    rows: dict[int, Row] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    windows: dict[str, list[tuple[User, TimeRange]]] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    readers: dict[str, Client] = field(default_factory=dict)

    def of(self, *, tasks: bool) -> list[Row]:
        return [row for row in self.rows.values() if row.is_task == tasks]

    def sees_all(self, person: User, *, tasks: bool) -> bool:
        right = "tasks.view_asynctask" if tasks else "logs.view_usagerecord"
        return person.is_staff and person.has_perm(right)

    def held(self, person: User, of: str, *, tasks: bool) -> set[int] | None:
        """Return the numbers of what a scope holds; None: there is none for this person."""
        rows = self.of(tasks=tasks)
        kind, _, number = of.partition(":")
        sees_all = self.sees_all(person, tasks=tasks)
        if not of:
            return {row.number for row in rows if row.owner == person}
        if of == "everyone":
            return {row.number for row in rows} if sees_all else None
        if kind in ("person", "as"):
            owner = next((one for one in self.people.values() if str(one.pk) == number), None)
            both = kind == "person" or (self.sees_all(person, tasks=not tasks) and owner != person)
            if owner is None or not sees_all or not both:
                return None
            return {row.number for row in rows if row.owner == owner}
        team = next((name for name, one in self.teams.items() if str(one.pk) == number), None)
        if kind != "team" or team is None:
            return None
        if not sees_all and person not in self.teams[team].leads.all():
            return None
        pairs = self.windows[team]
        return {row.number for row in rows if any(row.owner == one and row.at in when for one, when in pairs)}


def a_world(gateway: Gateway) -> World:
    """Make people of every kind, and what each of them has."""
    made = World()
    for name in ("plain", "lead", "boss", "both", "gone", "early", "second"):
        made.people[name] = User.objects.create_user(f"{name}@example.com", "a long password", name=name)
    for name, rights in {
        "calls": ("view_usagerecord",),
        "jobs": ("view_asynctask",),
        "reader": ("view_usagerecord", "view_asynctask", "view_usagecontent"),
        "nothing": (),
    }.items():
        one = User.objects.create_user(f"{name}@example.com", "a long password", name=name, is_staff=True)
        one.user_permissions.set(Permission.objects.filter(codename__in=rights))
        made.people[name] = one
    made.people["root"] = User.objects.create_superuser("root@example.com", "a long password", name="root")
    _teams(made)
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    number = 0
    for person in made.people.values():
        for days in _DAYS:
            number += 1
            at = moments.free(timezone.now() - timedelta(days=days, minutes=number))
            made.rows[number] = _record(gateway, person, number, at)
        for days in _DAYS[2:5]:
            number += 1
            at = timezone.now() - timedelta(days=days, minutes=number)
            made.rows[number] = _task(gateway, person, number, at)
    assert len(made.rows) == len({row.pk for row in made.rows.values()}) > 80
    for name, person in made.people.items():
        made.clients[name] = signed_in(person)
        token = personal_tokens.issue(person, "t", 30)[1]
        made.readers[name] = Client(headers={"Authorization": f"Bearer {token}"})
    return made


def _teams(made: World) -> None:
    now = timezone.now()

    def ago(days: float) -> datetime:
        return now - timedelta(days=days)

    people = made.people
    for name, lead in (("search", "lead"), ("media", "boss")):
        made.teams[name] = Team.objects.create(name=name)
        made.teams[name].leads.add(people[lead])
        made.windows[name] = []
    for team, who, since, until, earlier in (
        ("search", "both", 12, None, None),
        ("search", "gone", 15, 4, None),
        ("search", "early", 3, None, 9),
        ("search", "boss", 6, None, None),
        ("media", "both", 5, None, None),
        ("media", "second", 10, 5, None),
        ("media", "second", 3, None, None),
        ("media", "calls", 9, None, None),
    ):
        end = ago(until) if until else None
        begins = ago(earlier) if earlier else None
        row = Membership.objects.create(
            team=made.teams[team], user=people[who], since=ago(since), until=end, records_from=begins
        )
        made.windows[team].append((people[who], TimeRange(row.begins, end)))


def _record(gateway: Gateway, person: User, number: int, at: datetime) -> Row:
    failed = number % 3 == 0
    made = event(
        person,
        request_id=f"rq{number:03}zq",
        created_at=at,
        model=f"mo{number:03}zq",
        token=f"key-{person.name}",
        metadata={
            "tags": [f"tg{number:03}zq", "common"],
            "job": f"tg{number:03}zq",
            "session_id": f"tg{number:03}zq",
        },
        input=json.dumps(f"co{number:03}zq is what I said").encode(),
        status=Status.ERROR if failed else Status.SUCCESS,
        http_status=400 if failed else 200,
        error=Failure(type="bad", message=f"It quotes er{number:03}zq") if failed else None,
    )
    store(gateway, made)
    found = UsageRecord.objects.get(request_id=f"rq{number:03}zq")
    return Row(number, person, found.created_at, is_task=False, pk=str(found.pk))


def _task(gateway: Gateway, person: User, number: int, at: datetime) -> Row:
    model, _ = AIModel.objects.get_or_create(name=f"tm{number:03}zq")
    task = a_task(
        person,
        gateway,
        task_id=f"ta{number:03}zq",
        submitted_at=at,
        model=model,
        status=TaskStatus.SUCCEEDED,
        finished_at=at + timedelta(minutes=1),
        result=[{"kind": "text", "text": f"tc{number:03}zq came out"}],
    )
    return Row(number, person, task.submitted_at, is_task=True, pk=str(task.pk))
