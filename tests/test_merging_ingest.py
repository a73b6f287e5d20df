"""What comes in for users, tokens and groups that are one: where it goes, what it costs and what is kept."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.urls import reverse
from msgspec import Raw
from msgspec.structs import replace

from accounts.identities import merging
from accounts.models import ApiToken, Gateway, Group, User, UserIdentity
from logs.content.contents import Policies
from logs.ingest import batches
from logs.ingest.ledger import UsageLedger
from logs.ingest.spans import event_of
from logs.models import ContentPolicy, Level, RecordType, UsageContent, UsageRecord
from logs.models.events import UsageEvent
from logs.rollups.breakdown import By, breakdown
from routescope.contracts.ledger import Charge, Work
from routescope.data.ranges import MINUTE
from routescope.data.scopes import Scope
from tests.cast import NOON, event, just_now, signed_in, store
from tests.merged_cast import WEEKS, figures, named, two
from tests.sums import check_rollups

__all__ = ["two"]

pytestmark = pytest.mark.django_db


def test_records_to_come_go_where_the_name_now_leads(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User, gateway: Gateway
) -> None:
    other = named("team-7")
    merging.merge(other, alice)
    alice = User.objects.get(pk=alice.pk)
    before = figures(alice)[0]
    store(gateway, event(alice, token="new"))
    store(gateway, event("team-7", token="team-own"), event("team-7", token="new"), event("team-7"))
    assert figures(alice)[0] == before + 4
    lines = {line.value: line.totals.records for line in breakdown(Scope.own(alice), WEEKS, By.TOKEN)}
    assert lines[ApiToken.objects.get(owner=alice, name="new").pk] == 2, "one token of that name"
    assert ApiToken.objects.filter(name="team-own").count() == 1, "the one that was theirs"
    theirs = figures(named("team-7"))[0]
    merging.separate(other)
    store(gateway, event("team-7", request_id="req_after"))
    assert UsageRecord.objects.get(request_id="req_after").user_id == other.pk
    assert figures(named("team-7"))[0] == theirs + 1, "what came under its name meanwhile is its own"
    assert figures(User.objects.get(pk=alice.pk))[0] == before - len(two[1]) + 1
    new = ApiToken.objects.filter(name="new", merged_into=None)
    assert {token.owner_id for token in new} == {alice.pk, other.pk}


def test_a_batch_sent_again_after_a_merge_or_its_end_is_the_same_records(
    two: tuple[list[UsageEvent], list[UsageEvent]], alice: User, gateway: Gateway
) -> None:
    _, team = two
    other = named("team-7")
    held = UsageRecord.objects.count()
    merging.merge(other, alice)
    late = [event("team-7", input=Raw(b'"words"')) for _ in range(3)]
    assert store(gateway, *team[:5], *late, *team[5:]).accepted == 3
    merging.separate(other)
    assert store(gateway, *late, *team).accepted == 0
    assert UsageRecord.objects.count() == held + 3
    check_rollups()


def test_a_batch_sent_again_after_its_name_was_pointed_elsewhere_is_the_same_records(
    alice: User, bob: User, admin: User, gateway: Gateway
) -> None:
    sent = [event("team", minutes=minute) for minute in range(5)]
    store(gateway, *sent)
    identity = UserIdentity.objects.get(name="team")
    url = reverse("admin:accounts_useridentity_change", args=[identity.pk])
    assert signed_in(admin).post(url, {"user": bob.pk}).status_code == 302
    fresh = event("team")
    outcome = store(gateway, fresh, *sent)
    assert (outcome.accepted, outcome.duplicates) == (1, 5)
    assert UsageRecord.objects.get(user=bob).request_id == fresh.request_id
    assert store(gateway, fresh, *sent).accepted == 0
    check_rollups()


def test_a_merged_group_costs_what_the_other_does_from_then_on(alice: User, gateway: Gateway) -> None:
    half = Group.objects.create(name="default", ratio=Decimal("0.5"))
    numbers = iter(range(100))

    def cost(at: datetime) -> Decimal:
        name = f"req_{next(numbers)}"
        used = event(
            alice, group="vip", request_id=name, created_at=at, input_tokens=1_000_000, output_tokens=0
        )
        store(gateway, used)
        found = UsageRecord.objects.get(request_id=name).cost
        assert found is not None
        return found

    whole = cost(NOON)
    vip = Group.objects.get(name="vip")
    merging.merge(vip, half)
    assert cost(NOON + MINUTE) == whole, "the price of its own time"
    assert cost(just_now()) == whole / 2
    half.ratio = Decimal("0.25")
    half.save()
    assert cost(just_now()) == whole / 4
    merging.separate(vip)
    assert cost(just_now()) == whole


def test_what_the_others_have_as_one_stays_one_without_the_user_between_them(
    alice: User, gateway: Gateway
) -> None:
    store(gateway, event("team", token="new"), event("crew", token="new"), event(alice, token="prod"))
    merging.merge(named("team"), alice)
    merging.merge(named("crew"), alice)
    store(gateway, event(alice, token="new"))
    of = {str(token.owner): token for token in ApiToken.objects.filter(name="new")}
    assert len({token.canonical_id for token in of.values()}) == 1
    merging.separate(named("team"))
    now = {str(token.owner): token.canonical_id for token in ApiToken.objects.filter(name="new")}
    assert now["Alice"] == now["crew"] == of["Alice"].pk
    assert now["team"] == of["team"].pk


def test_what_a_task_cost_is_found_wherever_its_users_name_leads(
    alice: User, bob: User, gateway: Gateway
) -> None:
    charged = event("team", task_id="task_1", type=RecordType.TASK, cost=Decimal(3))
    store(gateway, charged)
    UserIdentity.objects.filter(name="team").update(user=bob)
    back = event("team", task_id="task_1", type=RecordType.REFUND, cost=Decimal(-1))
    store(gateway, back)
    ledger = UsageLedger()

    def of(user: User, **ids: str) -> Charge | None:
        known = {"request_id": "", "task_id": "", **ids}
        return ledger.charge_for(Work(user_id=user.pk, gateway_id=gateway.pk, **known))

    for user in (bob, User.objects.get(name="team")):
        found = of(user, task_id="task_1")
        assert found is not None
        assert (found.charged, found.given_back) == (Decimal(3), Decimal(1))
    assert of(bob, request_id=charged.request_id) is None, "a request ID may be anybody's"
    store(gateway, event(alice, task_id="task_1", type=RecordType.TASK, cost=Decimal(7)))
    found = of(alice, task_id="task_1")
    assert found is not None
    assert (found.charged, found.given_back) == (Decimal(7), Decimal(0)), "one ID, two people's tasks"
    assert of(bob, task_id="task_1") is None


def test_a_token_that_was_taken_out_stays_out(alice: User, gateway: Gateway) -> None:
    store(gateway, event(alice, token="prod"), event("team", token="prod"), event("crew", token="prod"))
    merging.merge(named("team"), alice)
    theirs = ApiToken.objects.get(owner=named("team"))
    merging.separate(theirs)
    merging.merge(named("crew"), alice)
    store(gateway, event(alice, token="new"), event("team", token="new"))
    now = {str(token.owner): token.canonical_id for token in ApiToken.objects.filter(name="prod")}
    assert now["crew"] == now["Alice"] != now["team"]
    assert len({token.canonical_id for token in ApiToken.objects.filter(name="new")}) == 1


def test_the_strictest_policy_of_what_is_one_applies_to_every_part(gateway: Gateway) -> None:
    groups = [Group.objects.create(name=name) for name in ("whole", "part", "other", "apart")]
    whole, part, other, _ = groups
    merging.merge(part, whole)
    merging.merge(other, whole)
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    ContentPolicy.objects.create(group=part, level=Level.REDACTED)
    ContentPolicy.objects.create(group=other, level=Level.OFF)

    def levels() -> list[Level]:
        policies = Policies.of(gateway.pk)
        return [policies.level(group.pk, None) for group in groups]

    assert levels() == [Level.OFF, Level.OFF, Level.OFF, Level.FULL]
    merging.separate(other)
    assert levels() == [Level.REDACTED, Level.REDACTED, Level.OFF, Level.FULL]
    merging.separate(part)
    assert levels() == [Level.FULL, Level.REDACTED, Level.OFF, Level.FULL]


def test_a_token_joins_what_its_namesake_was_merged_into(alice: User, gateway: Gateway) -> None:
    store(gateway, event(alice, token="prod"), event(alice, token="new"), event("team", token="prod"))
    prod, new = (ApiToken.objects.get(owner=alice, name=name) for name in ("prod", "new"))
    merging.merge(new, prod)
    merging.merge(named("team"), alice)
    store(gateway, event("team", token="new"))
    theirs = ApiToken.objects.filter(owner=named("team"))
    assert {token.canonical_id for token in theirs} == {prod.pk}
    merging.separate(new)
    assert {token.canonical_id for token in theirs.filter(name="new")} == {prod.pk}, "merged for itself"


def test_content_is_stored_with_the_records_that_are_new_alone(
    alice: User, bob: User, gateway: Gateway
) -> None:
    ContentPolicy.objects.create(gateway=gateway, level=Level.OFF)
    sent = event("team", input=Raw(b'"words"'), created_at=just_now())
    store(gateway, sent)
    UserIdentity.objects.filter(name="team").update(user=bob)
    ContentPolicy.objects.update(level=Level.FULL)
    fresh = event("team", input=Raw(b'"more"'), created_at=just_now())
    assert store(gateway, sent, fresh).accepted == 1
    assert UsageContent.objects.count() == 1


def test_a_record_that_two_users_hold_is_still_known(alice: User, bob: User, gateway: Gateway) -> None:
    sent = event(alice)
    store(gateway, sent)
    twin = UsageRecord.objects.get()
    twin.user_id = bob.pk
    UsageRecord.objects.bulk_create([twin])
    UserIdentity.objects.filter(user=alice).update(user=bob)
    UserIdentity.objects.filter(user=bob).update(user=alice)
    assert store(gateway, sent).duplicates == 1


def test_what_completes_a_record_goes_by_its_group_and_token(alice: User, gateway: Gateway) -> None:
    Group.objects.create(name="vip", ratio=Decimal("0.5"))
    store(gateway, event(alice, group="vip", token="quiet", input_tokens=1_000_000, output_tokens=0))
    record = UsageRecord.objects.select_related("model").get()
    before = record.cost
    assert before
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    ContentPolicy.objects.create(token=ApiToken.objects.get(name="quiet"), level=Level.OFF)
    later = replace(event_of(record), user="service", token="sdk", input_tokens=2_000_000)
    with transaction.atomic():
        batches.complete(gateway, [(record, replace(later, input=Raw(b'"words"')))])
    record = UsageRecord.objects.get()
    assert (record.cost, record.content) == (2 * before, Level.OFF)
    named_by = UsageRecord.objects.values_list("user__name", "group__name", "token__name")
    assert list(named_by) == [("Alice", "vip", "quiet")]
    assert not UsageContent.objects.exists()


def test_a_policy_of_what_was_merged_still_applies(alice: User, gateway: Gateway) -> None:
    store(gateway, event("team", token="bot"), event(alice, token="bot"))
    theirs = ApiToken.objects.get(owner=named("team"))
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    ContentPolicy.objects.create(token=theirs, level=Level.OFF)
    merging.merge(named("team"), alice)
    store(gateway, event("team", token="bot", request_id="req_quiet", input=Raw(b'"words"')))
    assert UsageRecord.objects.get(request_id="req_quiet").content == Level.OFF
