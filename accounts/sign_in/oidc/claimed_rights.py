"""Giving what a claim says, and taking it away again when it no longer does. What a hand gave stays.

Rights are the account's, and so every session's of it. That no session which came otherwise has those by a
claim holds because each session carries the account's ``access_salt``, which is new with every such change:
sessions of before are over, however late they are saved.
"""

from __future__ import annotations

import logging

from django.contrib.auth.models import Group as PermissionGroup
from django.db import transaction
from django.http import HttpRequest

from accounts.models import AuditEntry, ClaimedRight, User
from accounts.sign_in.oidc.identity import ClaimedIdentity
from accounts.staff import audit

logger = logging.getLogger(__name__)

_FLAGS = (ClaimedRight.Right.STAFF, ClaimedRight.Right.SUPERUSER)


def follow(request: HttpRequest, user: User, identity: ClaimedIdentity | None) -> None:
    """Give ``user`` the rights that the claims say and take away those that only an earlier claim gave.

    Without an identity no claim says anything: they come in another way, and the rights sleep until the
    provider is asked again. Where anything changes, every session of the account ends but the one that is
    about to begin, which carries what ``user`` holds after this. Audited in the same transaction.
    """
    with transaction.atomic():
        # As it is now: two may come at once, the one by the provider and the other otherwise.
        now = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        # Since they gave their password sessions were ended; theirs is one of those.
        is_overtaken = identity is None and user.access_salt != now.access_salt
        flags = _follow_flags(request, now, identity)
        groups = _follow_groups(request, now, identity)
        if flags or groups:
            now.renew_access()
            now.save(update_fields=["access_salt"])
    for flag in _FLAGS:
        setattr(user, flag, getattr(now, flag))
    if not is_overtaken:
        user.access_salt = now.access_salt


def keep(user: User, flags: set[str]) -> None:
    """Let flags that an admin set or took away by hand be as they are: no claim gave them any more."""
    ClaimedRight.objects.filter(user=user, right__in=flags).delete()


def _follow_flags(request: HttpRequest, user: User, identity: ClaimedIdentity | None) -> bool:
    if identity is not None and identity.is_admin:
        missing = [flag for flag in _FLAGS if not getattr(user, flag)]
        given = [ClaimedRight(user=user, right=flag) for flag in missing]
        # One that slept has its row.
        ClaimedRight.objects.bulk_create(given, ignore_conflicts=True)
        return _set(request, user, missing, True)
    held = ClaimedRight.objects.filter(user=user, right__in=_FLAGS)
    flags = [ClaimedRight.Right(one.right) for one in held.order_by("pk") if getattr(user, one.right)]
    if identity is not None:
        held.delete()
    return _set(request, user, flags, False)


def _set(request: HttpRequest, user: User, flags: list[ClaimedRight.Right], value: bool) -> bool:
    if not flags:
        return False
    for flag in flags:
        setattr(user, flag, value)
    user.save(update_fields=flags)
    names = ", ".join(flag.value for flag in flags)
    _note(request, user, f"A claim gave {names}." if value else f"No claim gives {names} any more.")
    return True


def _follow_groups(request: HttpRequest, user: User, identity: ClaimedIdentity | None) -> bool:
    names = identity.groups if identity is not None else frozenset()
    wanted = {group.name: group for group in PermissionGroup.objects.filter(name__in=names)}
    for name in sorted(names - wanted.keys()):
        logger.warning("OIDC_GROUPS names the permission group %s, which there is not.", name)
    before = set(user.groups.values_list("pk", flat=True))
    held = ClaimedRight.objects.filter(user=user, right=ClaimedRight.Right.GROUP).select_related("group")
    is_changed = False
    for right in held.order_by("pk"):
        group = right.group
        if group is None or group.name in wanted:
            continue
        if group.pk in before:
            user.groups.remove(group)
            _note(request, user, f"No claim puts them into the group {group} any more.")
            is_changed = True
        if identity is not None:
            right.delete()
    for group in wanted.values():
        if group.pk in before:
            continue
        user.groups.add(group)
        ClaimedRight.objects.get_or_create(user=user, right=ClaimedRight.Right.GROUP, group=group)
        _note(request, user, f"A claim put them into the group {group}.")
        is_changed = True
    return is_changed


def _note(request: HttpRequest, user: User, what: str) -> None:
    audit.note(request, AuditEntry.Act.PEOPLE, user, f"{user}: {what}")
