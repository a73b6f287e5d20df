"""Giving what a claim says, and taking it away again when it no longer does. What a hand gave stays."""

from __future__ import annotations

import logging

from django.contrib.auth.models import Group as PermissionGroup
from django.db import transaction
from django.http import HttpRequest

from accounts import audit
from accounts.audit import AuditEntry
from accounts.models import ClaimedRight, User
from accounts.oidc.identity import ClaimedIdentity

logger = logging.getLogger(__name__)

_FLAGS = (ClaimedRight.Right.STAFF, ClaimedRight.Right.SUPERUSER)


def follow(request: HttpRequest, user: User, identity: ClaimedIdentity | None) -> None:
    """Give ``user`` the rights that the claims say and take away those that only an earlier claim gave.

    Without an identity no claim says anything: they came in another way. Audited in the same transaction.
    """
    with transaction.atomic():
        _follow_flags(request, user, identity is not None and identity.is_admin)
        _follow_groups(request, user, identity.groups if identity else frozenset())


def keep(user: User, flags: set[str]) -> None:
    """Let flags that an admin set or took away by hand be as they are: no claim gave them any more."""
    ClaimedRight.objects.filter(user=user, right__in=flags).delete()


def _follow_flags(request: HttpRequest, user: User, is_admin: bool) -> None:
    if is_admin:
        missing = [flag for flag in _FLAGS if not getattr(user, flag)]
        ClaimedRight.objects.bulk_create(ClaimedRight(user=user, right=flag) for flag in missing)
        _set(request, user, missing, True)
        return
    held = ClaimedRight.objects.filter(user=user, right__in=_FLAGS)
    _set(request, user, [ClaimedRight.Right(one.right) for one in held], False)
    held.delete()


def _set(request: HttpRequest, user: User, flags: list[ClaimedRight.Right], value: bool) -> None:
    if not flags:
        return
    for flag in flags:
        setattr(user, flag, value)
    user.save(update_fields=flags)
    names = ", ".join(flag.value for flag in flags)
    _note(request, user, f"A claim gave {names}." if value else f"No claim gives {names} any more.")


def _follow_groups(request: HttpRequest, user: User, names: frozenset[str]) -> None:
    wanted = {group.name: group for group in PermissionGroup.objects.filter(name__in=names)}
    for name in sorted(names - wanted.keys()):
        logger.warning("OIDC_GROUPS names the permission group %s, which there is not.", name)
    held = ClaimedRight.objects.filter(user=user, right=ClaimedRight.Right.GROUP).select_related("group")
    for right in held:
        group = right.group
        if group is not None and group.name not in wanted:
            user.groups.remove(group)
            right.delete()
            _note(request, user, f"No claim puts them into the group {group} any more.")
    for group in wanted.values():
        if not user.groups.filter(pk=group.pk).exists():
            user.groups.add(group)
            ClaimedRight.objects.get_or_create(user=user, right=ClaimedRight.Right.GROUP, group=group)
            _note(request, user, f"A claim put them into the group {group}.")


def _note(request: HttpRequest, user: User, what: str) -> None:
    audit.note(request, AuditEntry.Act.PEOPLE, user, f"{user}: {what}")
