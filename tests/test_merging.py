"""Users, tokens and groups that are one under two names: in every figure, list and page, and two again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from accounts.access import personal_tokens
from accounts.identities import merging
from accounts.identities.merging import MergeError
from accounts.models import ApiToken, Gateway, Group, User
from logs import exports
from logs.listing import own_records
from logs.models import RecordType, UsageRecord
from logs.models.events import UsageEvent
from logs.record import details
from logs.rollups import busy_hours, own_tokens, pending, traffic
from logs.rollups.breakdown import By, breakdown
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.ranges import MINUTE, floor
from routescope.data.scopes import Scope
from tasks.models import AsyncTask
from tests.cast import NOON, event, signed_in, store
from tests.merged_cast import PAGE, WEEKS, figures, named, two
from tests.sums import check_rollups
from tests.task_cast import a_task

__all__ = ["two"]

pytestmark = pytest.mark.django_db


def walked(user: User, size: int) -> list[str]:
    found: list[str] = []
    cursor = Cursor()
    while True:
        page = own_records.listed(Scope.own(user), WEEKS, cursor, size)
        found += [row.request_id for row in page.rows]
        if page.newer:
            back = own_records.listed(Scope.own(user), WEEKS, Cursor(newer=page.newer), size)
            assert [row.request_id for row in back.rows] == found[-len(page.rows) - size : -len(page.rows)]
        if page.older is None:
            return found
        cursor = Cursor(older=page.older)


def newest_first(events: list[UsageEvent]) -> list[str]:
    ids = dict(UsageRecord.objects.values_list("request_id", "id"))
    return sorted((one.request_id for one in events), key=ids.__getitem__, reverse=True)


def test_two_users_are_one_in_every_figure_and_list_and_two_again(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, team = two
    monkeypatch.setattr(busy_hours, "BUSY", 2)
    pending.fold()
    busy_hours.count(everything=True)
    other = named("team-7")
    apart = figures(alice), figures(other), figures(bob)
    merging.merge(other, alice)

    alice = User.objects.get(pk=alice.pk)
    both = mine + team
    assert figures(alice) == (105, sum(one.cost or 0 for one in both))
    assert walked(alice, 7) == newest_first(both)
    assert (
        own_records.count_since(Scope.own(alice), Selection(), UsageRecord.objects.order_by("id")[0].id, 200)
        >= 84
    )
    found = traffic.traffic(Scope.own(alice), WEEKS, NOON)
    minutes: dict[Any, int] = {}
    for one in both:
        minutes[floor(one.created_at, MINUTE)] = minutes.get(floor(one.created_at, MINUTE), 0) + 1
    assert found.peak_rpm is not None
    assert found.peak_rpm.value == max(minutes.values())
    assert sum(bucket.requests for bucket in found.buckets) == 105
    assert figures(bob) == apart[2]
    check_rollups()

    merging.separate(other)
    assert (figures(User.objects.get(pk=alice.pk)), figures(named("team-7")), figures(bob)) == apart


def test_their_tokens_go_along_and_those_of_one_name_become_one(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User
) -> None:
    mine, team = two
    other = named("team-7")
    merging.merge(other, alice)
    alice = User.objects.get(pk=alice.pk)
    lines = {
        ApiToken.objects.get(pk=line.value).name: line.totals.records  # type: ignore[misc]
        for line in breakdown(Scope.own(alice), WEEKS, By.TOKEN)
    }
    assert lines == {
        name: sum(one.token == name for one in mine + team) for name in ("prod", "alic-own", "team-own")
    }
    rows = own_tokens.own_tokens(Scope.own(alice), WEEKS.chosen, NOON).rows
    assert {row.token.name: row.chosen.records for row in rows} == lines
    assert all(row.last_used_at for row in rows)
    page = signed_in(alice).get(PAGE, {"token": "prod", "range": "all"}).content.decode()
    assert f'data-stat="requests" data-value="{lines["prod"]}"' in page
    assert page.count('name="token" value="prod"') == 1
    merging.separate(other)
    assert ApiToken.objects.filter(name="prod", merged_into=None).count() == 3


def test_the_details_know_what_another_name_did_for_the_same_request(
    alice: User, gateway: Gateway, admin: User
) -> None:
    store(gateway, event("team", request_id="req_one", cost=Decimal(3)))
    store(gateway, event(alice, request_id="req_one", cost=Decimal(-1), type=RecordType.REFUND, minutes=1))
    merging.merge(named("team"), alice)
    record = UsageRecord.objects.get(request_id="req_one", type=RecordType.REQUEST)
    _, shown = details.of_one(Scope.own(User.objects.get(pk=alice.pk)), record.pk)
    assert [other.type for other in shown.related] == [RecordType.REFUND]
    assert shown.net == 2


def test_an_admin_filters_by_what_is_one(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User, admin: User
) -> None:
    mine, team = two
    merging.merge(named("team-7"), alice)
    merging.merge(Group.objects.get(name="vip"), Group.objects.get(name="default"))
    client = signed_in(admin)
    url = reverse("admin:logs_usagerecord_changelist")
    prod = ApiToken.objects.get(owner=alice, name="prod")
    both = sum(one.token == "prod" for one in mine + team)
    asked: list[tuple[dict[str, Any], int]] = [
        ({"token": prod.pk}, both),
        ({"user": alice.pk, "token": prod.pk}, both),
        ({"group": Group.objects.get(name="default").pk}, len(mine) + len(team) + 20),
    ]
    for chosen, count in asked:
        page = client.get(url, {**chosen, "range": "all"})
        body = page.content.decode()
        assert f'data-stat="requests" data-value="{count}"' in body, chosen
    assert "Alice, as team-7" in body
    assert "vip" not in body.partition('id="result_list"')[2]


def test_lists_name_what_was_merged_without_a_query_each(
    alice: User, gateway: Gateway, django_assert_max_num_queries: Any
) -> None:
    store(gateway, event("team", token="prod"), event(alice, token="prod"))
    merging.merge(named("team"), alice)
    merging.merge(Group.objects.create(name="vip"), Group.objects.get(name="default"))
    theirs = ApiToken.objects.get(owner=named("team"))
    for number in range(30):
        task = a_task(named("team"), gateway, task_id=f"task_{number}")
        AsyncTask.objects.filter(pk=task.pk).update(token=theirs)
    store(gateway, *(event("team", group="vip") for _ in range(30)))
    reader = Client(headers={"Authorization": f"Bearer {personal_tokens.issue(alice, 'reader', 1)[1]}"})
    with django_assert_max_num_queries(20):
        answer = reader.get("/api/v1/tasks", {"range": "all"})
    assert [row["token"] for row in answer.json()["data"]] == ["prod"] * 30
    rows = exports.UsageSource().select(alice.pk, QueryDict("range=all"))
    with django_assert_max_num_queries(12):
        assert sum(block.rows for block in rows.blocks(("receipt", "group"), None, 100)) == 32


def test_who_is_merged_cannot_sign_in_and_is_seen_by_the_other_alone(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User, bob: User, gateway: Gateway
) -> None:
    _, team = two
    other = named("team-7")
    other.is_active = True
    other.save()
    theirs = signed_in(other)
    record = UsageRecord.objects.get(request_id=team[0].request_id)
    asked = a_task(other, gateway, task_id="task_of_the_team")
    url = reverse("usage-record", args=[record.pk])
    assert theirs.get(url).status_code == 200
    assert signed_in(alice).get(url).status_code == 404
    merging.merge(other, alice)
    client = signed_in(User.objects.get(pk=alice.pk))
    assert client.get(url).status_code == 200
    assert client.get(f"/r/{record.request_id}").status_code == 302
    assert client.get(reverse("task", args=[asked.pk])).status_code == 200
    assert "task_of_the_team"[:9] in client.get("/records/tasks/", {"range": "all"}).content.decode()
    assert theirs.get(url).status_code == 302, "signed out"
    assert signed_in(bob).get(url).status_code == 404


def test_a_group_and_a_token_go_by_the_name_of_what_they_are_part_of(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User
) -> None:

    merging.merge(Group.objects.get(name="vip"), Group.objects.get(name="default"))
    tokens = ApiToken.objects.filter(owner=alice)
    merging.merge(tokens.get(name="alic-own"), tokens.get(name="prod"))
    assert [line.totals.records for line in breakdown(Scope.own(alice), WEEKS, By.GROUP)] == [60]
    assert [line.totals.records for line in breakdown(Scope.own(alice), WEEKS, By.TOKEN)] == [60]
    client = signed_in(alice)
    page = client.get(PAGE, {"range": "all", "group": "default", "token": "prod"}).content.decode()
    assert 'data-stat="requests" data-value="60"' in page
    assert "vip" not in page and "alic-own" not in page
    saved = client.get(PAGE, {"range": "all", "group": "vip", "token": "alic-own"}).content.decode()
    assert 'data-stat="requests" data-value="60"' in saved, "an address of before the merge"
    assert "You have no" not in saved
    assert '<input type="checkbox" name="group" value="default" checked' in saved
    source = exports.UsageSource()
    block, _end = source.select(alice.pk, QueryDict("range=all")).blocks(("token", "group"), None, 100)
    assert set(zip(*block.values, strict=True)) == {("prod", "default")}
    details = client.get(reverse("usage-record", args=[UsageRecord.objects.filter(user=alice)[0].pk]))
    assert "vip" not in details.content.decode()


def test_a_group_without_records_of_ones_own_names_what_was_merged_into_it(
    alice: User, gateway: Gateway
) -> None:
    store(gateway, event(alice, group="vip"), event("else", group="default"))
    merging.merge(Group.objects.get(name="vip"), Group.objects.get(name="default"))
    page = signed_in(alice).get(PAGE, {"range": "all", "compare": "group"}).content.decode()
    assert "Without a group" not in page and "default" in page


def test_what_others_are_merged_into_is_merged_without_them(alice: User, bob: User, gateway: Gateway) -> None:
    store(gateway, event("first"), event("second"), event(alice))
    first, second = named("first"), named("second")
    merging.merge(first, second)
    with pytest.raises(MergeError, match="Separate them first"):
        merging.merge(second, alice)
    merging.separate(first)
    merging.merge(first, alice)
    merging.merge(second, alice)
    assert figures(User.objects.get(pk=alice.pk))[0] == 3
    store(gateway, event("first"))
    assert figures(User.objects.get(pk=alice.pk))[0] == 4


def test_what_cannot_be_one_says_why(alice: User, bob: User, admin: User, gateway: Gateway) -> None:
    store(gateway, event("team"), event(alice), event(bob))
    team = named("team")
    tokens = {token.owner_id: token for token in ApiToken.objects.all()}
    for source, target, words in (
        (alice, alice, "itself"),
        (admin, alice, "is an admin"),
        (tokens[team.pk], tokens[alice.pk], "belongs to Alice"),
    ):
        with pytest.raises(MergeError, match=words):
            merging.merge(source, target)  # type: ignore[type-var]
    merging.merge(team, alice)
    with pytest.raises(MergeError, match="already merged into another"):
        merging.merge(team, bob)
    with pytest.raises(MergeError, match="Choose that one"):
        merging.merge(bob, team)
    assert User.objects.get(pk=bob.pk).is_active


def test_an_admin_merges_and_separates(alice: User, admin: User, gateway: Gateway) -> None:
    store(gateway, event("team-7"), event(alice))
    team = named("team-7")
    client = signed_in(admin)
    merge = reverse("admin:accounts_user_merge", args=[team.pk])
    assert merge in client.get(reverse("admin:accounts_user_change", args=[team.pk])).content.decode()
    assert "past records appear there" in client.get(merge).content.decode()
    assert "Choose what to merge it into" in client.post(merge, {"target": ""}).content.decode()
    assert client.post(merge, {"target": alice.pk}, follow=True).status_code == 200
    assert figures(User.objects.get(pk=alice.pk))[0] == 2
    page = client.get(reverse("admin:accounts_user_change", args=[team.pk])).content.decode()
    assert client.get(reverse("admin:accounts_user_invite", args=[team.pk])).status_code == 404
    itself = client.post(reverse("admin:accounts_user_merge", args=[alice.pk]), {"target": alice.pk})
    assert "It cannot be merged into itself" in itself.content.decode()
    separate = reverse("admin:accounts_user_separate", args=[team.pk])
    assert separate in page and "Alice" in page
    assert client.get(separate).status_code == 404
    assert "each with its own records" in client.post(separate, follow=True).content.decode()
    assert figures(User.objects.get(pk=alice.pk))[0] == 1
    for kind, row in (("group", Group.objects.get()), ("apitoken", ApiToken.objects.get(owner=team))):
        url = reverse(f"admin:accounts_{kind}_merge", args=[row.pk])
        assert "No record is rewritten" in client.get(url).content.decode()


def test_nobody_else_merges(alice: User, gateway: Gateway) -> None:
    store(gateway, event("team-7"))
    team = named("team-7")
    url = reverse("admin:accounts_user_merge", args=[team.pk])
    helper = User.objects.create_user("helper@example.com", "helper-password", is_staff=True)
    assert Client().post(url, {"target": alice.pk}).status_code == 302
    assert signed_in(alice).post(url, {"target": alice.pk}).status_code == 302
    assert signed_in(helper).post(url, {"target": alice.pk}).status_code == 403
    assert User.objects.get(pk=team.pk).merged_into_id is None
