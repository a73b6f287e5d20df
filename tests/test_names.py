"""What a process keeps of where names lead: right after any change, and only what is committed."""

from __future__ import annotations

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from accounts.identities import resolving
from accounts.identities.resolving import ResolvedNames, resolve
from accounts.models import (
    AIModel,
    ApiToken,
    Gateway,
    Group,
    GroupIdentity,
    TokenIdentity,
    User,
    UserIdentity,
)

pytestmark = pytest.mark.django_db(transaction=True)


def look(gateway: Gateway) -> ResolvedNames:
    return resolve(gateway, users_and_tokens=[("team", "bot"), ("", "")], groups=["vip"], models=["gpt-5"])


def test_what_was_seen_costs_one_query(
    gateway: Gateway, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = look(gateway)
    assert first == look(gateway)
    with django_assert_num_queries(1):
        look(gateway)
    other = Gateway.objects.create(name="other")
    assert look(other).users["team"] != first.users["team"], "every gateway has names of its own"


def test_every_name_leads_where_it_was_pointed_last(gateway: Gateway) -> None:
    first = look(gateway)
    someone = User.objects.create(name="someone")
    token = ApiToken.objects.create(owner=someone, name="own")
    UserIdentity.objects.filter(name="team").update(user=someone)
    assert look(gateway).users["team"] == someone.pk
    TokenIdentity.objects.filter(user=someone, name="bot").update(token=token)
    assert look(gateway).tokens == {(someone.pk, "bot"): token.pk}
    group = Group.objects.create(name="elsewhere")
    GroupIdentity.objects.update(group=group)
    assert look(gateway).groups == {"vip": group.pk}
    AIModel.objects.filter(name="gpt-5").update(name="renamed")
    assert look(gateway).models["gpt-5"] == AIModel.objects.get(name="gpt-5").pk
    assert look(gateway).models != first.models


def test_what_was_deleted_is_made_anew(gateway: Gateway) -> None:
    first = look(gateway)
    User.objects.filter(pk=first.users["team"]).delete()
    again = look(gateway)
    assert again.users["team"] != first.users["team"]
    assert User.objects.filter(pk=again.users["team"]).exists()
    assert ApiToken.objects.filter(pk__in=again.tokens.values(), owner=again.users["team"]).exists()


def test_what_was_rolled_back_is_not_kept(gateway: Gateway) -> None:
    with transaction.atomic():
        look(gateway)
        transaction.set_rollback(True)
    found = look(gateway)
    assert User.objects.filter(pk__in=found.users.values()).count() == 2
    assert AIModel.objects.get(name="gpt-5").pk == found.models["gpt-5"]


def test_it_is_not_known_before_the_change_is_committed(gateway: Gateway) -> None:
    first = look(gateway)
    someone = User.objects.create(name="someone")
    with transaction.atomic():
        UserIdentity.objects.filter(name="team").update(user=someone)
        assert look(gateway).users["team"] == someone.pk
        transaction.set_rollback(True)
    assert look(gateway) == first


def test_no_more_is_kept_than_fits(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "MOST_KEPT", 3)
    first = look(gateway)
    for _ in range(3):
        assert look(gateway) == first
        assert resolving._latest.size <= 5
