"""Who may act on whose account: nobody on one that can do more than they can."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.contrib.auth.models import AnonymousUser, Permission
from django.db.models import Q

from accounts.models import ClaimedRight, User
from routescope.data.scopes import Scope

READ_CONTENT = "logs.view_usagecontent"
"""The right to read the content of others."""


def reaches(actor: User | AnonymousUser | Any, other: User) -> bool:
    """Say whether ``actor`` has every right that ``other`` has.

    Only then may they change, invite, merge or reset them: a new address or password is a way into the
    account. A closed account counts with the rights that it will have again, and one that somebody came to by
    single sign-on with those that the claims gave then: they are back when its owner comes so again.
    """
    if not isinstance(actor, User) or not actor.is_active:
        return False
    if actor.is_superuser or actor.pk == other.pk:
        return True
    claimed = set(ClaimedRight.objects.filter(user=other).values_list("right", flat=True))
    if other.is_superuser or ClaimedRight.Right.SUPERUSER in claimed:
        return False
    if (other.is_staff or ClaimedRight.Right.STAFF in claimed) and not actor.is_staff:
        return False
    return _rights(other) | _rights_by_claims(other) <= _rights(actor)


def may_read_content(reader: User | AnonymousUser | Any, owner_id: int) -> bool:
    """Say whether ``reader`` may read what user ``owner_id`` sent and was answered.

    Asked of records and tasks that are visible to the reader. One's own is read always. What is somebody
    else's, in the admin or because they were merged into the reader, staff read with its own right alone.
    """
    if not isinstance(reader, User) or not reader.is_active:
        return False
    own = owner_id == reader.pk or (not reader.is_staff and owner_id in reader.ids)
    return own or (reader.is_staff and reader.has_perm(READ_CONTENT))


class Reading(StrEnum):
    """Whether somebody's content is shown: at once, when it is asked for (which is kept), or not at all."""

    OPEN = "open"
    ASKED = "asked"
    WITHHELD = "withheld"


def reading_of(scope: Scope, owner_id: int) -> Reading:
    """Say how the content of user ``owner_id`` may be read on the pages of a scope, which holds their rows.

    One's own is there. Another's is read by who has the right to, each look by itself, and never in a scope
    without content.
    """
    if scope.is_without_content or not may_read_content(scope.reader, owner_id):
        return Reading.WITHHELD
    return Reading.OPEN if owner_id in scope.reader.ids else Reading.ASKED


def _rights(user: User) -> set[int]:
    held = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return set(held.values_list("pk", flat=True))


def _rights_by_claims(user: User) -> set[int]:
    groups = ClaimedRight.objects.filter(user=user, right=ClaimedRight.Right.GROUP).values("group")
    return set(Permission.objects.filter(group__in=groups).values_list("pk", flat=True))
