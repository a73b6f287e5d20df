"""Teams that a gateway tells of: whose, from when on, once, and never what an admin decided otherwise."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.identities import merging
from accounts.models import AuditEntry, Gateway, GroupIdentity, Membership, Team, User, UserIdentity
from accounts.scopes import deciding, told_teams
from logs.filters.asked import VIEW_ALL
from logs.models import UsageRecord
from routescope.data.scopes import Viewer
from tasks.models import AsyncTask
from tests.admin_pages import text
from tests.cast import NOON, event, just_now, signed_in, store
from tests.newapi_installation import CALL, Installation, installation
from tests.newapi_installation import NOW as LOGGED
from tests.sending import Sender, sender
from tests.spans import CHAT, PATH, request, span
from tests.spans import NOW as BEGUN

__all__ = ["installation", "sender"]

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def telling(gateway: Gateway) -> Gateway:
    gateway.groups_are_teams = True
    gateway.save()
    return gateway


@pytest.fixture
def teller(sender: Sender) -> Sender:
    Gateway.objects.update(groups_are_teams=True)
    sender.gateway.refresh_from_db()
    return sender


def told() -> set[tuple[str | None, str, datetime]]:
    rows = Membership.objects.select_related("team", "user")
    assert all(row.told_by_id == row.team.told_by_id is not None for row in rows)
    return {(row.team.external_id, row.user.email or row.user.name, row.since) for row in rows}


def seen_by(lead: User, team: Team) -> set[str]:
    scope = deciding.decided(Viewer.of(lead), f"team:{team.pk}", VIEW_ALL)
    return set(UsageRecord.objects.visible_to(scope).values_list("request_id", flat=True))


# --- In each format --------------------------------------------------------------------------------------


def test_the_native_format_tells(teller: Sender) -> None:
    later, first = just_now(), just_now() - MINUTE
    bodies: list[dict[str, Any]] = [
        {"request_id": "a", "created_at": later.isoformat(), "user": "ann@example.com", "group": "search"},
        {"request_id": "b", "created_at": first.isoformat(), "user": "ann@example.com", "group": "search"},
        {"request_id": "c", "created_at": later.isoformat(), "user": "ann@example.com", "group": "ads"},
        {"request_id": "d", "created_at": first.isoformat(), "group": "search"},
        {"request_id": "e", "created_at": first.isoformat(), "user": "bob@example.com"},
    ]
    assert teller.post("/api/v1/usage", bodies).json()["accepted"] == 5
    assert told() == {("search", "ann@example.com", first), ("ads", "ann@example.com", later)}, (
        "who is named without a group, or a group without anybody, is in no team"
    )
    assert {team.name for team in Team.objects.all()} == {"search", "ads"}


def test_litellm_tells(teller: Sender) -> None:
    at = time.time() - 60
    payload = {
        "id": "x", "litellm_call_id": "y", "call_type": "acompletion", "status": "success", "model": "gpt-5",
        "startTime": at, "endTime": at + 1,
        "metadata": {
            "user_api_key_user_email": "ann@example.com", "user_api_key_team_id": "0b7c",
            "user_api_key_team_alias": "search",
        },
    }  # fmt: skip
    teller.post("/api/v1/ingest/litellm", [payload])
    assert told() == {("search", "ann@example.com", UsageRecord.objects.get().created_at)}


def test_spans_tell_whichever_of_a_call_names_the_team(teller: Sender) -> None:
    named, grouped = {"user.id": "ann@example.com"}, {"litellm.team.alias": "search"}

    def call(number: int, *parts: dict[str, str]) -> Any:
        """A client's span and the gateway's within it, each sent by itself."""
        for part in parts:
            is_inner = "user.id" not in part
            ids = {"traceId": f"{number:032x}", "spanId": f"{number:015x}{is_inner:x}"}
            parent = {"parentSpanId": f"{number:015x}0"} if is_inner else {}
            given = {**CHAT, "gen_ai.response.id": f"chatcmpl-{number}", **part}
            one = span(given, at=number, lasts=0.5 if is_inner else 1, **ids, **parent)
            teller.post(PATH, request(one, scope="gateway" if is_inner else "app"))
        return teller.record(f"chatcmpl-{number}")

    begun = datetime.fromtimestamp(BEGUN, UTC)
    expected = {("search", "ann@example.com", begun + timedelta(seconds=1))}
    call(1, grouped)
    assert not Team.objects.exists(), "nobody's"
    record = call(1, named)
    assert (record.user.email, record.group.name) == ("ann@example.com", "search"), "somebody's now"
    assert told() == expected
    call(2, {"user.id": "bob@example.com"}, grouped)
    call(3, {**named, "litellm.team.alias": "ads"})
    expected |= {
        ("search", "bob@example.com", begun + timedelta(seconds=2)),
        ("ads", "ann@example.com", begun + timedelta(seconds=3)),
    }
    assert told() == expected and UsageRecord.objects.count() == 3


def test_new_api_tells(installation: Installation) -> None:
    Gateway.objects.create(name="new-api", groups_are_teams=True)
    for number, at in enumerate((LOGGED, LOGGED - 60, LOGGED + 60)):
        installation.log(**{**CALL, "created_at": at, "request_id": f"r{number}"})
    installation.imported()
    assert told() == {("vip", "ann", datetime.fromtimestamp(LOGGED - 60, UTC))}


def test_tasks_tell(teller: Sender) -> None:
    at = just_now()
    task = {
        "task_id": "t1", "created_at": at.isoformat(), "user": "ann@example.com", "group": "video",
        "platform": "runwayml", "provider_task_id": "rw-1",
    }  # fmt: skip
    teller.post("/api/v1/tasks", {**task})
    teller.post("/api/v1/tasks", {**task, "task_id": "t2", "user": ""})
    assert AsyncTask.objects.count() == 2
    assert told() == {("video", "ann@example.com", at)}


# --- What is told, and what is not -----------------------------------------------------------------------


def test_a_lead_sees_from_then_on_and_nobody_before_a_lead_is_named(telling: Gateway, bob: User) -> None:
    Gateway.objects.update(groups_are_teams=False)
    telling.refresh_from_db()
    store(telling, event("ann", request_id="before", created_at=NOON - MINUTE))
    Gateway.objects.update(groups_are_teams=True)
    telling.refresh_from_db()
    store(telling, event("ann", request_id="first", created_at=NOON))
    store(telling, event("ann", request_id="next", created_at=NOON + MINUTE))
    team = Team.objects.get()
    assert signed_in(bob).get(f"/records/usage/?of=team:{team.pk}").status_code == 404
    team.leads.add(bob)
    assert seen_by(bob, team) == {"first", "next"}
    team.memberships.update(records_from=NOON - 2 * MINUTE)
    assert seen_by(bob, team) == {"before", "first", "next"}, "the past is as the admin decides"


@committing
def test_a_gateway_whose_groups_are_no_teams_is_asked_nothing(
    gateway: Gateway, django_assert_num_queries: Any
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connections["default"]) as asked:
            store(gateway, event("ann", created_at=just_now()), event("ben", created_at=just_now()))
        return len(asked)

    queries()
    warm = queries()
    assert not Team.objects.exists()
    gateway.groups_are_teams = True
    gateway.save()
    assert queries() > warm
    assert queries() == warm == queries(), "known members cost nothing either"
    assert Membership.objects.count() == 2
    told_teams._known.clear()
    with transaction.atomic():
        assert queries() > warm
    assert not told_teams._known, "in another's transaction it is looked up each time"


def test_what_an_admin_ended_stays_ended_and_whom_an_admin_added_is_not_told(
    telling: Gateway, alice: User, bob: User
) -> None:
    store(telling, event(alice, minutes=1))
    row = Membership.objects.get()
    row.until = NOON + 5 * MINUTE
    row.save()
    Membership.objects.create(team=row.team, user=bob, since=NOON + 9 * MINUTE)
    store(telling, event(alice, minutes=10), event(bob, minutes=3))
    assert Membership.objects.filter(user=alice).get().until == NOON + 5 * MINUTE
    assert Membership.objects.filter(user=bob).get().since == NOON + 9 * MINUTE


def test_merged_people_are_told_as_who_they_are_now(telling: Gateway, alice: User) -> None:
    store(telling, event("ally", group="one", minutes=1))
    ally = User.objects.get(pk=UserIdentity.objects.get(name="ally").user_id)
    merging.merge(ally, alice)
    store(telling, event(alice, group="one", minutes=2), event("ally", group="one", minutes=3))
    assert Membership.objects.get().user == ally, "they are in that team under their other name"
    store(telling, event("ally", group="two", minutes=5), event(alice, group="two", minutes=4))
    assert told() == {("one", "ally", NOON + MINUTE), ("two", "alice@example.com", NOON + 4 * MINUTE)}
    merging.separate(User.objects.get(pk=ally.pk))
    store(telling, event("ally", group="two", minutes=6))
    assert ("two", "ally", NOON + 6 * MINUTE) in told()


@committing
def test_a_deleted_team_is_told_again_after_a_while(
    telling: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(telling, event("ann", minutes=1))
    Team.objects.all().delete()
    store(telling, event("ann", minutes=2))
    assert not Team.objects.exists(), "this process knows"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + told_teams._KEPT_SECONDS + 1)
    store(telling, event("ann", minutes=3))
    assert told() == {("default", "ann", NOON + 3 * MINUTE)}


@committing
def test_what_was_rolled_back_is_told_again(telling: Gateway) -> None:
    with transaction.atomic():
        store(telling, event("ann", minutes=0))
        assert Team.objects.count() == 1
        transaction.set_rollback(True)
    assert not told_teams._known and not Team.objects.exists()
    store(telling, event("ann", minutes=1))
    assert told() == {("default", "ann", NOON + MINUTE)}


@committing
def test_spans_whose_members_are_known_ask_nothing_of_teams(teller: Sender) -> None:
    """They are stored in a transaction of their own, before which teams are made and known."""

    def of_teams(number: int) -> int:
        told_of = {"gen_ai.response.id": f"chatcmpl-{number}", "user.id": "ann", "litellm.team.alias": "x"}
        with CaptureQueriesContext(connections["default"]) as asked:
            teller.post(PATH, request(span({**CHAT, **told_of}, at=number)))
        return sum("accounts_team" in one["sql"] for one in asked)

    assert of_teams(1) > 0 and len(told()) == 1
    assert of_teams(2) == 0
    told_teams._known.clear()
    assert of_teams(3) > 0 and of_teams(4) == 0, "another process learns it from what is committed"


@committing
def test_batches_that_tell_the_same_at_once_end_with_one_of_each(telling: Gateway) -> None:
    names = [(f"team{number % 7}", f"p{number % 11}") for number in range(77)]
    # Names first: these have tests of their own.
    Gateway.objects.update(groups_are_teams=False)
    store(telling, *(event(user, group=group, minutes=n) for n, (group, user) in enumerate(names)))
    Gateway.objects.update(groups_are_teams=True)
    telling.refresh_from_db()
    people = dict(UserIdentity.objects.values_list("name", "user_id"))
    for attempt in range(5):
        Team.objects.all().delete()
        told_teams._known.clear()
        ready = Barrier(4)

        def tell(step: int, ready: Barrier = ready, attempt: int = attempt) -> None:
            try:
                seen = [(group, people[user], NOON) for group, user in names]
                shifted = seen[step * 19 + attempt :] + seen[: step * 19 + attempt]
                ready.wait(30)
                told_teams.keep(telling, shifted if step % 2 else shifted[::-1])
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as beside:
            for one in [beside.submit(tell, step) for step in range(4)]:
                one.result()
        assert Team.objects.count() == 7
        assert Membership.objects.count() == len(set(names)) == 77


def test_a_group_that_leads_elsewhere_is_the_team_that_the_gateway_names(telling: Gateway) -> None:
    """A pricing group of ours may be several of the gateway's: teams go by the gateway's own names."""
    store(telling, event("ann", group="eu"))
    identity = GroupIdentity.objects.get(name="eu")
    GroupIdentity.objects.create(gateway=telling, name="us", group=identity.group)
    store(telling, event("ann", group="us"))
    other = Gateway.objects.create(name="other", groups_are_teams=True)
    store(other, event("ann", group="eu"))
    assert sorted(Team.objects.values_list("told_by__name", "external_id")) == [
        ("edge", "eu"),
        ("edge", "us"),
        ("other", "eu"),
    ]


def test_a_large_team_is_read_in_few_queries(
    telling: Gateway, bob: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    store(telling, *(event(f"p{number}", minutes=number) for number in range(40)))
    team = Team.objects.get()
    team.leads.add(bob)
    with django_assert_max_num_queries(4):
        assert len(seen_by(bob, team)) == 40


# --- In the admin ----------------------------------------------------------------------------------------


def test_an_admin_ends_what_was_told_and_shows_more_of_it_but_deletes_it_with_the_team_alone(
    telling: Gateway, admin: User, alice: User, bob: User
) -> None:
    store(telling, event(alice, minutes=1), event(bob, minutes=2))
    team, row = Team.objects.get(), Membership.objects.get(user=alice)
    client, url = signed_in(admin), f"/admin/accounts/membership/{row.pk}/change/"
    listed = f"/admin/accounts/team/?told_by__id__exact={telling.pk}"
    assert listed in client.get(f"/admin/accounts/gateway/{telling.pk}/change/").content.decode()
    assert ">default</a>" in client.get(listed).content.decode()
    page = client.get(f"/admin/accounts/team/{team.pk}/change/").content.decode()
    assert url in page and "Members that the gateway told of" in page
    assert 'name="memberships-0-user"' not in page, "what is told is not in the form"
    page = client.get(url).content.decode()
    assert "would come back" in page and "deletelink" not in page and 'name="since_0"' not in page
    assert client.post(f"/admin/accounts/membership/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    sent = {"until_0": "2026-03-10", "until_1": "13:00:00", "records_from_0": "2026-03-01"}
    assert client.post(url, {**sent, "records_from_1": "00:00:00", "user": bob.pk}).status_code == 302
    row.refresh_from_db()
    assert (row.user, row.since) == (alice, NOON + MINUTE)
    assert row.until == NOON + 60 * MINUTE and row.records_from == NOON.replace(day=1, hour=0)
    assert AuditEntry.objects.filter(subject=alice, act=AuditEntry.Act.PEOPLE).count() == 1
    chosen = {"_selected_action": [str(one.pk) for one in Membership.objects.all()]}
    listed = "/admin/accounts/membership/"
    assert "1 membership ended." in text(client.post(listed, {**chosen, "action": "end_now"}, follow=True))
    row.refresh_from_db()
    assert row.until == NOON + 60 * MINUTE, "who had left stays as they are"
    assert Membership.objects.get(user=bob).until is not None
    shown = client.post(listed, {**chosen, "action": "show_earlier"}, follow=True)
    assert "all records of 2 members" in text(shown)
    assert all(one.begins < NOON - timedelta(days=2000) for one in Membership.objects.all())
    client.post(f"/admin/accounts/team/{team.pk}/delete/", {"post": "yes"})
    assert not Team.objects.exists()


def test_nobody_is_added_who_is_in_the_team_already(
    telling: Gateway, admin: User, alice: User, bob: User
) -> None:
    store(telling, event(alice, minutes=1))
    team, client = Team.objects.get(), signed_in(admin)
    url, already = f"/admin/accounts/team/{team.pk}/change/", "They are in this team already."

    def saved(*people: User, **more: Any) -> str:
        form: dict[str, Any] = {"name": "Search", "memberships-TOTAL_FORMS": len(people)}
        form |= {"memberships-INITIAL_FORMS": 0, **more}
        for number, one in enumerate(people):
            row = {"user": one.pk, "since_0": "2026-03-11", "since_1": "00:00:00"}
            form |= {f"memberships-{number}-{name}": value for name, value in row.items()}
        return client.post(url, form, follow=True).content.decode()

    assert already in saved(alice) and already in saved(bob, bob)
    assert already not in saved(bob)
    Membership.objects.filter(user=alice).update(until=NOON + 9 * MINUTE)
    assert already not in saved(alice), "who left comes again"
    first = Membership.objects.filter(user=alice).earliest("since")
    reopened = client.post(f"/admin/accounts/membership/{first.pk}/change/", {"until_0": "", "until_1": ""})
    assert already in reopened.content.decode()
    team.refresh_from_db()
    assert (team.name, team.external_id) == ("Search", "default")
    store(telling, event(alice, minutes=2))
    assert Team.objects.get() == team, "renamed, it is the same"
    assert Membership.objects.count() == 3
