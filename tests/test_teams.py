"""Teams: whose records a lead sees, of what time, and what of them never."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from django.db.models import Q
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.identities import merging
from accounts.models import AuditEntry, Gateway, Membership, Team, User
from accounts.scopes import deciding
from logs import exports
from logs.filters.asked import VIEW_ALL
from logs.listing import failures, largest_records, own_records
from logs.models import REQUEST_TYPES, ContentPolicy, Level, Status, UsageRecord
from logs.models.events import Failure
from logs.rollups import own_sums, pending, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection import lookback
from logs.selection.chosen import Selection
from logs.selection.largest import Sort
from routescope.data.keyset import Cursor
from routescope.data.ranges import DAY, TimeRange
from routescope.data.scopes import Scope, Viewer
from tasks.models import AsyncTask, TaskStatus
from tasks.sums import counts
from tasks.sums.chosen import Selection as TaskSelection
from tasks.tab import listing
from tests.cast import NOON, event, signed_in, store
from tests.task_cast import a_task
from tests.test_everyones_pages import PEOPLE, calls, chosen_pairs, ids

USAGE, TASKS = "/records/usage/", "/records/tasks/"
COW = "a purple cow"
EVER = datetime(2020, 1, 1, tzinfo=NOON.tzinfo)


def joins(team: Team, user: User, since: datetime = EVER, **more: datetime) -> Membership:
    return Membership.objects.create(team=team, user=user, since=since, **more)


@pytest.fixture
def lead(db: None) -> User:
    return User.objects.create_user("lead@example.com", "a long password", name="Lead")


@pytest.fixture
def team(lead: User) -> Team:
    made = Team.objects.create(name="Search")
    made.leads.add(lead)
    return made


def scope_of(lead: User, team: Team) -> Scope:
    return deciding.decided(Viewer.of(lead), f"team:{team.pk}", VIEW_ALL)


def people() -> list[User]:
    return list(User.objects.filter(email__in=PEOPLE).order_by("pk"))


def test_a_teams_figures_are_those_of_its_members_while_they_were_in_it(
    gateway: Gateway, admin: User, lead: User, team: Team
) -> None:
    store(gateway, *calls(5, 700))
    pending.fold()
    store(gateway, *calls(6, 150))
    rng = Random(7)
    windows: list[tuple[int, TimeRange]] = []
    for number, person in enumerate(people()):
        # Whoever came or left did so at some moment, in the midst of an hour and of a day.
        came = NOON + timedelta(minutes=rng.randrange(-6 * 1440, 0), seconds=rng.randrange(60))
        left = came + timedelta(minutes=rng.randrange(60, 4 * 1440))
        match number % 5:
            case 0:
                joins(team, person)
                windows.append((person.pk, TimeRange(EVER)))
            case 1:
                joins(team, person, came)
                windows.append((person.pk, TimeRange(came)))
            case 2:
                joins(team, person, came, until=left)
                windows.append((person.pk, TimeRange(came, left)))
            case 3:
                joins(team, person, came, records_from=came - DAY)
                windows.append((person.pk, TimeRange(came - DAY)))
            case _:
                joins(team, person, came, until=left)
                joins(team, person, left + timedelta(hours=5))
                windows += [
                    (person.pk, TimeRange(came, left)),
                    (person.pk, TimeRange(left + timedelta(hours=5))),
                ]
    assert len(windows) > 8

    def is_theirs(row: UsageRecord) -> bool:
        return any(row.user_id == user_id and row.created_at in within for user_id, within in windows)

    world = [row for row in UsageRecord.objects.order_by("-id") if is_theirs(row)]
    scope = scope_of(lead, team)
    for selection, rows in chosen_pairs(world):
        check(scope, selection, rows)
    chart = traffic.traffic(scope, Selection(TimeRange(NOON - 8 * DAY, NOON + 8 * DAY)), NOON)
    assert sum(bucket.requests for bucket in chart.buckets) == sum(row.type in REQUEST_TYPES for row in world)
    exported: list[str] = []
    selected = exports.UsageSource().select(lead.pk, QueryDict(f"of=team:{team.pk}&range=all"))
    before: UUID | None = None
    while True:
        last = None
        for block in selected.blocks(["request_id"], before, 70):
            exported += [str(one) for one in block.values[0]] if block.rows else []
            last = block.down_to
        if last is None:
            break
        before = last
    assert exported == [row.request_id for row in world]


def check(scope: Scope, selection: Selection, rows: Sequence[UsageRecord]) -> None:
    assert own_sums.totals(scope, selection) == own_sums.Totals.of(rows), selection
    listed: list[UUID] = []
    cursor = Cursor()
    while True:
        page = own_records.listed(scope, selection, cursor, 23)
        listed += ids(page.rows)
        if page.older is None:
            break
        cursor = Cursor(older=page.older)
    assert listed == ids(rows), selection
    if len(rows) > 12:
        back = own_records.listed(scope, selection, Cursor(newer=rows[-1].id), 9)
        assert ids(back.rows) == ids(rows[-10:-1]), selection
    for by in (By.MODEL, By.PERSON, By.DAY, By.TOKEN):
        lines = breakdown(scope, selection, by)
        assert sum((one.totals for one in lines), own_sums.NOTHING) == own_sums.Totals.of(rows), (
            selection,
            by,
        )
    wanted = sorted((row for row in rows if row.cost is not None), key=lambda row: (row.cost, row.id))[::-1]
    assert ids(largest_records.listed(scope, selection, Sort.COST, Cursor(), 15).rows) == ids(wanted[:15]), (
        selection
    )


def test_a_search_in_a_team_goes_on_where_it_ended(
    gateway: Gateway, lead: User, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 30)
    store(gateway, *calls(8, 400))
    for number, person in enumerate(people()):
        joins(team, person, EVER if number % 2 else NOON)
    scope = scope_of(lead, team)
    seen = list(UsageRecord.objects.visible_to(scope).filter(stream=True).order_by("-id"))
    selection = Selection(bounds=Q(stream=True))
    found = [
        one
        for step in lookback.steps(scope, selection, Cursor())
        for _user, one in lookback.keys(scope, selection, step, newest_first=True, limit=99)
    ]
    assert found == ids(seen) and len(found) > 30


def test_who_joins_or_leaves_changes_what_a_lead_sees_from_then_on(
    gateway: Gateway, lead: User, alice: User, bob: User, team: Team
) -> None:
    now = timezone.now()
    hours = [now - timedelta(hours=n) for n in (9, 7, 5, 3, 1)]
    store(gateway, *(event(alice, created_at=at, request_id=f"a{n}") for n, at in enumerate(hours)))
    later = timedelta(minutes=1)
    store(gateway, *(event(bob, created_at=at + later, request_id=f"b{n}") for n, at in enumerate(hours)))
    membership = joins(team, alice, now - timedelta(hours=6))

    def seen() -> set[str]:
        page = signed_in(lead).get(f"{USAGE}?of=team:{team.pk}&range=all").content.decode()
        return {name for who in "ab" for n in range(5) if (name := f"{who}{n}") and f'title="{name}"' in page}

    assert seen() == {"a2", "a3", "a4"}
    membership.records_from = now - timedelta(hours=8)
    membership.save()
    assert seen() == {"a1", "a2", "a3", "a4"}
    membership.until = now - timedelta(hours=2)
    membership.save()
    assert seen() == {"a1", "a2", "a3"}, "what was the team's stays the team's"
    joins(team, bob)
    assert seen() == {"a1", "a2", "a3", "b0", "b1", "b2", "b3", "b4"}
    merging.merge(bob, alice)
    assert seen() == {"a1", "a2", "a3", *(f"b{n}" for n in range(5)), "a0", "a4"}, "both are one person now"
    Membership.objects.all().delete()
    assert seen() == set()
    team.leads.clear()
    assert signed_in(lead).get(f"{USAGE}?of=team:{team.pk}").status_code == 404


@pytest.fixture
def said(gateway: Gateway, alice: User, team: Team) -> UsageRecord:
    """A failed call of a member's that says the same in all that it may say."""
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    joins(team, alice)
    store(
        gateway,
        event(
            alice,
            created_at=timezone.now() - timedelta(minutes=5),
            status=Status.ERROR,
            http_status=400,
            error=Failure(type="invalid_request_error", code="bad", message=f"Cannot draw: {COW} jumped"),
            attempts=[{"channel": "a", "error": f"{COW} again", "status": "error"}],
            metadata={"note": f"{COW} noted"},
            ip="203.0.113.77",
            user_agent="curl/8.5 (cow)",
            input=json.dumps(f"draw {COW}, please, on a green meadow").encode(),
            output=json.dumps(f"here is {COW}").encode(),
        ),
    )
    record = UsageRecord.objects.get()
    # As a gateway tells it that sends no input.
    kept = {
        "error_message": f"Cannot draw: {COW} jumped",
        "metadata": {"note": COW},
        "attempts": [{"error": COW}],
    }
    UsageRecord.objects.filter(pk=record.pk, user=alice).update(**kept)
    return record


def test_a_lead_sees_no_content_and_nothing_that_quotes_it(
    lead: User, team: Team, admin: User, said: UsageRecord
) -> None:
    client, of = signed_in(lead), f"of=team:{team.pk}"
    page = client.get(f"{USAGE}?{of}").content.decode()
    assert said.request_id in page and "Search" in page and '<td class="c-person">Alice</td>' in page
    for url in (
        f"{USAGE}?{of}",
        f"{USAGE}?{of}&errors=each",
        f"{USAGE}?{of}&errors=gathered",
        f"{USAGE}?{of}&request_id={said.request_id}",
        f"{USAGE}{said.pk}/?{of}",
        f"{USAGE}{said.pk}/details/?{of}",
        f"{USAGE}{said.pk}/reprice/?{of}&model=gpt-5&day=2026-03-10",
    ):
        answer = client.get(url)
        assert answer.status_code == 200 and "cow" not in answer.content.decode(), url
    details = client.get(f"{USAGE}{said.pk}/?{of}").content.decode()
    assert "Not shown to leads" in details and "203.0.113" not in details
    assert "shown without input and output" in details and "may quote what was sent" in details
    assert "Show input and output" not in details
    assert client.post(f"{USAGE}{said.pk}/content/?{of}").status_code == 404
    assert client.get(f"/r/{said.request_id}").status_code == 404
    assert client.get(f"{USAGE}{said.pk}/").status_code == 404
    form = client.get(f"/exports/new/?source=usage&{of}").content.decode()
    assert 'value="person"' in form
    for column in ("error_message", "attempts", "metadata", "ip", "user_agent"):
        assert f'value="{column}"' not in form
    everything = [column.name for column in exports.COLUMNS]
    [block, *_] = exports.UsageSource().select(lead.pk, QueryDict(of)).blocks(everything, None, 9)
    assert block.rows == 1 and "cow" not in str(block.values) and "203.0.113" not in str(block.values)
    key = personal_tokens.issue(lead, "notebook", 30)[1]
    api = client.get(f"/api/v1/usage/{said.pk}?{of}", headers={"Authorization": f"Bearer {key}"})
    assert (api.json()["ip"], api.json()["user_agent"]) == (None, None)
    assert "cow" not in api.content.decode()
    assert not AuditEntry.objects.filter(act=AuditEntry.Act.CONTENT).exists()
    # An admin sees the words, and the content when it is asked for.
    page = signed_in(admin).get(f"{USAGE}{said.pk}/?{of}").content.decode()
    assert "cow jumped" in page and "203.0.113.77" in page and "curl/8.5" in page
    assert "green meadow" in signed_in(admin).post(f"{USAGE}{said.pk}/content/?{of}").content.decode()


def test_a_lead_of_one_team_sees_neither_another_nor_everybody(
    lead: User, team: Team, bob: User, said: UsageRecord
) -> None:
    other = Team.objects.create(name="Ads")
    joins(other, bob)
    client = signed_in(lead)
    menu = client.get(USAGE).content.decode()
    assert (
        f"of=team:{team.pk}" in menu.replace("%3A", ":")
        and "Ads" not in menu
        and "everyone" not in menu.casefold()
    )
    for of in (
        f"team:{other.pk}",
        "everyone",
        f"person:{said.user_id}",
        f"team:0{team.pk}",
        "team:",
        "team:x",
    ):
        assert client.get(USAGE, {"of": of}).status_code == 404, of
        assert client.get(TASKS, {"of": of}).status_code == 404, of
    narrowed = client.get(f"{USAGE}?of=team:{team.pk}&person={bob.pk}").content.decode()
    assert said.request_id not in narrowed and "Bob" not in narrowed
    assert client.get("/admin/").status_code == 302, "a lead is no admin"
    people = client.get(
        "/records/options/", {"tab": "usage", "menu": "person", "of": f"team:{team.pk}", "q": "b"}
    )
    assert "Bob" not in people.content.decode()
    assert client.get("/records/people/", {"tab": "usage", "q": "bob"}).status_code == 404


def test_a_teams_tasks_are_those_of_its_members_without_their_results(
    lead: User, team: Team, alice: User, bob: User, gateway: Gateway
) -> None:
    now = timezone.now()
    result = [{"kind": "image", "url": "https://cdn.example/cow.png"}]
    statuses = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.QUEUED)
    made: list[AsyncTask] = []
    for number in range(40):
        at = now - timedelta(minutes=200 - number * 5)
        person = (alice, bob)[number % 2]
        status = statuses[number % 3]
        failure = f"{COW} was refused" if status == TaskStatus.FAILED else ""
        more = {"result": result if status == TaskStatus.SUCCEEDED else [], "failure_message": failure}
        made.append(a_task(person, gateway, submitted_at=at, status=status, **more))
    came, left = now - timedelta(minutes=151), now - timedelta(minutes=62)
    joins(team, alice, came, until=left)
    theirs = [one for one in made if one.user_id == alice.pk and came <= one.submitted_at < left]
    scope = scope_of(lead, team)
    for statuses_chosen in ((), ("failed",)):
        wanted = [one for one in theirs if not statuses_chosen or one.status in statuses_chosen]
        selection = TaskSelection(statuses=statuses_chosen)
        assert sum(counts.by_status(scope, selection).values()) == len(wanted)
        page = listing.selected(scope, selection, Cursor(), 50)
        assert [one.pk for one in page.rows] == [one.pk for one in reversed(wanted)]
    client, of = signed_in(lead), f"of=team:{team.pk}"
    assert "cow" not in client.get(f"{TASKS}?{of}").content.decode()
    for task in theirs:
        for url in (
            f"{TASKS}{task.pk}/?{of}",
            f"{TASKS}{task.pk}/media/?{of}",
            f"{TASKS}?{of}&task_id={task.task_id}",
        ):
            answer = client.get(url)
            assert answer.status_code == 200 and "cow" not in answer.content.decode(), url
        assert client.post(f"{TASKS}{task.pk}/content/?{of}").status_code == 404
    outside = next(one for one in made if one.user_id == alice.pk and one.submitted_at >= left)
    assert client.get(f"{TASKS}{outside.pk}/?{of}").status_code == 404


def test_failures_of_a_team_are_gathered_without_their_words(
    lead: User, team: Team, said: UsageRecord
) -> None:
    [kind] = failures.gathered(scope_of(lead, team), Selection(statuses=(2,))).kinds
    assert (kind.newest.error_type, kind.newest.said) == ("invalid_request_error", None)


def test_an_admin_makes_a_team_and_the_audit_log_says_so(admin: User, alice: User, lead: User) -> None:
    client: Client = signed_in(admin)
    body = {
        "name": "Search",
        "leads": [lead.pk],
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": alice.pk,
        "memberships-0-since_0": "2026-03-01",
        "memberships-0-since_1": "09:00",
        "memberships-0-records_from_0": "2026-01-01",
        "memberships-0-records_from_1": "00:00",
    }
    assert client.post("/admin/accounts/team/add/", body).status_code == 302
    made = Team.objects.get()
    assert [row.user for row in made.memberships.all()] == [alice] and list(made.leads.all()) == [lead]
    assert AuditEntry.objects.filter(act=AuditEntry.Act.PEOPLE, object__startswith="Search").exists()
    assert "Search" in client.get("/admin/accounts/team/").content.decode()
