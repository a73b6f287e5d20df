"""From the names that a gateway uses to our users, tokens, groups and models; made on first sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction

from accounts.identities import merging
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
from routescope.data.apart import must_be_there
from routescope.text.identifiers import shown

MOST_KEPT = 100_000
"""Names that a process keeps; over them, it begins anew."""


_Make = Callable[[], object]


@dataclass(frozen=True, slots=True)
class ResolvedNames:
    """The ids behind a batch's names. An empty name of a token, group or model is none of them.

    ``led_elsewhere``: one of the users' names led to somebody else before, who may have records of it.
    """

    users: dict[str, int]
    tokens: dict[tuple[int, str], int]
    groups: dict[str, int]
    models: dict[str, int]
    led_elsewhere: bool = False


@dataclass(slots=True)
class _Known:
    """Where names lead, as read while nobody pointed one elsewhere or took it away.

    That ``accounts_names_version`` counts, by triggers; a new name changes nothing that is known. Its row's
    table and its database tell one from a restored one. Users are by gateway and name, with whether the
    name led elsewhere before; tokens by gateway, user and name.
    """

    state: tuple[str, int, int] | None = None
    users: dict[tuple[int, str], tuple[int, bool]] = field(default_factory=dict)
    tokens: dict[tuple[int, int, str], int] = field(default_factory=dict)
    groups: dict[tuple[int, str], int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.users) + len(self.tokens) + len(self.groups) + len(self.models)


_latest = _Known()


def _known() -> _Known:
    """Return what this process knows; nothing within a transaction, whose rows may never be committed."""
    global _latest
    if connection.in_atomic_block:
        return _Known()
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), tableoid, version FROM accounts_names_version")
        state = cursor.fetchone()
    if state is None:
        raise RuntimeError("accounts_names_version has lost its row: INSERT INTO it VALUES (1).")
    found = _latest
    if found.state != state or found.size > MOST_KEPT:
        # Another thread may still add what it read to the one it has: that is never looked at again.
        found = _latest = _Known(state)
    return found


def resolve(
    gateway: Gateway,
    *,
    users_and_tokens: Iterable[tuple[str, str]],
    groups: Iterable[str],
    models: Iterable[str],
) -> ResolvedNames:
    """Return the ids of all the names in a batch, making users, tokens, groups and models not seen before.

    Names that this process has seen cost one query, others four more, however many they are. Two batches that
    bring the same new name at once end with one row. A user's name that is an e-mail address is the person
    with that address; any other name gets a user of its own, who cannot sign in until invited. Records that
    name nobody belong to one such user per gateway. What was merged into another keeps its own id here too
    (`accounts.identities.merging`): a record that is sent again after a merge, or after its end, is the same
    record. Raises NotThereError in a transaction that has them made apart (`routescope.data.apart`).
    """
    known = _known()
    pairs, groups, models = set(users_and_tokens), set(groups), set(models)
    make = partial(resolve, gateway, users_and_tokens=pairs, groups=groups, models=models)
    users = _users(gateway, {user for user, _ in pairs}, known, make)
    user_ids = {name: user_id for name, (user_id, _) in users.items()}
    return ResolvedNames(
        users=user_ids,
        tokens=_tokens(gateway, {(user_ids[user], token) for user, token in pairs if token}, known, make),
        groups=_groups(gateway, {name for name in groups if name}, known, make),
        models=_models({name for name in models if name}, known, make),
        led_elsewhere=any(led_elsewhere for _, led_elsewhere in users.values()),
    )


def _users(gateway: Gateway, names: set[str], known: _Known, make: _Make) -> dict[str, tuple[int, bool]]:
    found = known.users
    if missing := [name for name in names if (gateway.pk, name) not in found]:
        rows = UserIdentity.objects.filter(gateway=gateway, name__any=missing)
        for name, user_id, moved_at in rows.values_list("name", "user_id", "moved_at"):
            found[gateway.pk, name] = user_id, moved_at is not None
        for name in sorted(missing):
            if (gateway.pk, name) not in found:
                must_be_there(make)
                found[gateway.pk, name] = _provision_user(gateway, name), False
    return {name: found[gateway.pk, name] for name in names}


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
                email=email,
                name="" if email else shown(name) or f"Unattributed ({gateway.name})",
                is_active=False,
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


def _tokens(
    gateway: Gateway, wanted: set[tuple[int, str]], known: _Known, make: _Make
) -> dict[tuple[int, str], int]:
    found = known.tokens
    if missing := [one for one in wanted if (gateway.pk, *one) not in found]:
        users, names = {user for user, _ in missing}, {name for _, name in missing}
        rows = TokenIdentity.objects.filter(gateway=gateway, user_id__any=users, name__any=names)
        for user_id, name, token_id in rows.values_list("user_id", "name", "token_id"):
            found[gateway.pk, user_id, name] = token_id
        new = [one for one in missing if (gateway.pk, *one) not in found]
        owners = User.objects.filter(pk__any={user for user, _ in new}) if new else ()
        heads = {owner.pk: owner.canonical_id for owner in owners}
        # In the order of what they lock, which a transaction around this one keeps.
        for user_id, name in sorted(new, key=lambda one: (heads[one[0]], *one)):
            must_be_there(make)
            found[gateway.pk, user_id, name] = _provision_token(gateway, user_id, name)
    return {one: found[gateway.pk, *one] for one in wanted}


def _provision_token(gateway: Gateway, user_id: int, name: str) -> int:
    with transaction.atomic():
        head = merging.lock_family(user_id)
        token, is_new = ApiToken.objects.get_or_create(owner_id=user_id, name=name)
        if is_new:
            merging.join_namesakes(head, [token.pk])
        identity, _ = TokenIdentity.objects.get_or_create(
            gateway=gateway, user_id=user_id, name=name, defaults={"token": token}
        )
    return identity.token_id


def _groups(gateway: Gateway, wanted: set[str], known: _Known, make: _Make) -> dict[str, int]:
    found = known.groups
    if missing := [name for name in wanted if (gateway.pk, name) not in found]:
        rows = GroupIdentity.objects.filter(gateway=gateway, name__any=missing)
        for name, group_id in rows.values_list("name", "group_id"):
            found[gateway.pk, name] = group_id
        for name in sorted(missing):
            if (gateway.pk, name) not in found:
                must_be_there(make)
                with transaction.atomic():
                    group, _ = Group.objects.get_or_create(name=name)
                    identity, _ = GroupIdentity.objects.get_or_create(
                        gateway=gateway, name=name, defaults={"group": group}
                    )
                found[gateway.pk, name] = identity.group_id
    return {name: found[gateway.pk, name] for name in wanted}


def _models(wanted: set[str], known: _Known, make: _Make) -> dict[str, int]:
    found = known.models
    if missing := [name for name in wanted if name not in found]:
        found.update(AIModel.objects.filter(name__any=missing).values_list("name", "id"))
        for name in sorted(missing):
            if name not in found:
                must_be_there(make)
                found[name] = AIModel.objects.get_or_create(name=name)[0].pk
    return {name: found[name] for name in wanted}
