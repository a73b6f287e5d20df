"""From the names that a gateway uses to our users, tokens, groups and models; made on first sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

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


@dataclass(frozen=True, slots=True)
class Names:
    """The ids behind a batch's names. An empty name of a token, group or model is none of them.

    ``led_elsewhere``: one of the users' names led to somebody else before, who may have records of it.
    """

    users: dict[str, int]
    tokens: dict[tuple[int, str], int]
    groups: dict[str, int]
    models: dict[str, int]
    led_elsewhere: bool = False


def resolve(
    gateway: Gateway,
    *,
    users_and_tokens: Iterable[tuple[str, str]],
    groups: Iterable[str],
    models: Iterable[str],
) -> Names:
    """Return the ids of all the names in a batch, making users, tokens, groups and models not seen before.

    Known names cost four queries, however many they are. Two batches that bring the same new name at once
    end with one row. A user's name that is an e-mail address is the person with that address; any other name
    gets a user of its own, who cannot sign in until invited. Records that name nobody belong to one such
    user per gateway. What was merged into another keeps its own id here too (`accounts.merging`): a record
    that is sent again after a merge, or after its end, is the same record.
    """
    pairs = set(users_and_tokens)
    user_ids, led_elsewhere = _users(gateway, {user for user, _ in pairs})
    return Names(
        users=user_ids,
        tokens=_tokens(gateway, {(user_ids[user], token) for user, token in pairs if token}),
        groups=_groups(gateway, {name for name in groups if name}),
        models=_models({name for name in models if name}),
        led_elsewhere=led_elsewhere,
    )


def _users(gateway: Gateway, names: set[str]) -> tuple[dict[str, int], bool]:
    known = {}
    led_elsewhere = False
    rows = UserIdentity.objects.filter(gateway=gateway, name__any=names)
    for name, user_id, moved_at in rows.values_list("name", "user_id", "moved_at"):
        known[name] = user_id
        led_elsewhere |= moved_at is not None
    for name in sorted(names - known.keys()):
        known[name] = _provision_user(gateway, name)
    return known, led_elsewhere


def _provision_user(gateway: Gateway, name: str) -> int:
    email = _email(name)
    with transaction.atomic():
        # One at a time: two batches must not make two users of one name.
        Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
        identity = UserIdentity.objects.filter(gateway=gateway, name=name).first()
        if identity is not None:
            return identity.user_id
        user = User.objects.filter(email=email).first() if email else None
        if user is None:
            user = User(
                email=email, name="" if email else name or f"Unattributed ({gateway.name})", is_active=False
            )
            user.set_unusable_password()
            user.save()
        UserIdentity.objects.create(gateway=gateway, name=name, user=user)
    return user.pk


def _email(name: str) -> str | None:
    try:
        validate_email(name)
    except ValidationError:
        return None
    return name.lower()


def _tokens(gateway: Gateway, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    if not wanted:
        return {}
    rows = TokenIdentity.objects.filter(
        gateway=gateway, user_id__any={user for user, _ in wanted}, name__any={name for _, name in wanted}
    ).values_list("user_id", "name", "token_id")
    known = {(user, name): token for user, name, token in rows}
    for user_id, name in sorted(wanted - known.keys()):
        with transaction.atomic():
            token, is_new = ApiToken.objects.get_or_create(owner_id=user_id, name=name)
            if is_new:
                _join_namesake(token)
            identity, _ = TokenIdentity.objects.get_or_create(
                gateway=gateway, user_id=user_id, name=name, defaults={"token": token}
            )
        known[user_id, name] = identity.token_id
    return known


def _join_namesake(token: ApiToken) -> None:
    """Make a token one with that of the same name which users who are one have already."""
    # Read after the token was made: it waits for a merge of its owner that is under way.
    family = Q(owner=token.owner.canonical_id) | Q(owner__merged_into=token.owner.canonical_id)
    others = ApiToken.objects.filter(family, name=token.name, merged_into=None).exclude(pk=token.pk)
    if other := others.order_by("pk").first():
        ApiToken.objects.filter(pk=token.pk).update(merged_into=other)


def _groups(gateway: Gateway, wanted: set[str]) -> dict[str, int]:
    if not wanted:
        return {}
    rows = GroupIdentity.objects.filter(gateway=gateway, name__any=wanted)
    known = dict(rows.values_list("name", "group_id"))
    for name in sorted(wanted - known.keys()):
        with transaction.atomic():
            group, _ = Group.objects.get_or_create(name=name)
            identity, _ = GroupIdentity.objects.get_or_create(
                gateway=gateway, name=name, defaults={"group": group}
            )
        known[name] = identity.group_id
    return known


def _models(wanted: set[str]) -> dict[str, int]:
    if not wanted:
        return {}
    known = dict(AIModel.objects.filter(name__any=wanted).values_list("name", "id"))
    for name in sorted(wanted - known.keys()):
        known[name] = AIModel.objects.get_or_create(name=name)[0].pk
    return known
