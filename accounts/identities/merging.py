"""Making one of two: users, groups or API tokens that gateways know under different names.

Nothing is rewritten. What is merged keeps its row, and its records, those to come too, keep its id; whoever
reads the other's records reads these too (``ids``), and a name shows as the other's. Separated again, each
has what came under its own names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from accounts.models import ApiToken, Group, TokenIdentity, User
from accounts.people import closing

_Kind = TypeVar("_Kind", User, Group, ApiToken)


class MergeError(ValueError):
    """Why two cannot be one, in a sentence for the admin."""


def merge(source: _Kind, target: _Kind) -> None:
    """Make ``source`` part of ``target``, past records and those to come. Raises MergeError.

    A user who is merged cannot sign in any more, nor once they are separated, until they are invited anew.
    Tokens of the same name become one.
    """
    with transaction.atomic():
        if isinstance(source, ApiToken):
            lock_family(source.owner_id)
        _lock(source, target)
        check(source, target)
        # Saved, not updated: who keeps a history of it listens (`logs.models.prices`).
        source.merged_into_id = target.pk
        source.save(update_fields=["merged_into"])
        if isinstance(source, User):
            if source.is_active or source.invited_at is not None:
                closing.close(source)
            join_namesakes(target.pk, source.api_tokens.values_list("pk", flat=True))


def separate(source: _Kind) -> None:
    """Take a merged one out again: all records under its names are its own, and records to come too."""
    with transaction.atomic():
        if isinstance(source, Group):
            head = source.canonical_id
        else:
            head = lock_family(source.pk if isinstance(source, User) else source.owner_id)
        _lock(source, source)
        source.merged_into_id = None
        source.save(update_fields=["merged_into"])
        if isinstance(source, User):
            own = ApiToken.objects.filter(owner=source)
            own.exclude(merged_into=None).exclude(merged_into__owner=source).update(merged_into=None)
            # Nor may anybody else's records carry this user's tokens any more, or this user's theirs.
            others = ApiToken.objects.filter(merged_into__owner=source).exclude(owner=source)
            left = list(others.values_list("pk", flat=True))
            others.update(merged_into=None)
            led = TokenIdentity.objects.filter(Q(token__owner=source) | Q(user=source))
            led.exclude(token__owner=source, user=source).delete()
            # What others of the family had as one through this user's stays one.
            join_namesakes(head, left)


def lock_family(user_id: int) -> int:
    """Wait until nobody merges or separates the user, and keep it so until the end of the transaction.

    Returns the id of the user that they are one with.
    """
    locked = 0
    while True:
        head: int = User.objects.values_list(Coalesce("merged_into", "pk"), flat=True).get(pk=user_id)
        if head == locked:
            return head
        locked = User.objects.select_for_update(no_key=True).get(pk=head).pk


def join_namesakes(head: int, joining: Iterable[int]) -> None:
    """Make each of these tokens one with that of its name among users who are one.

    The others' come first, and among them ``head``'s. A token that was merged by hand stays where it is, and
    its namesakes join it there. The caller holds the lock of the family.
    """
    joining = set(joining)
    family = ApiToken.objects.filter(Q(owner=head) | Q(owner__merged_into=head))
    tokens = sorted(family, key=lambda one: (one.pk in joining, one.owner_id != head, one.pk))
    now = {token.pk: token.canonical_id for token in tokens}
    first: dict[str, int] = {}
    for token in tokens:
        leading = now[first.setdefault(token.name, token.pk)]
        if leading == token.pk or now[token.pk] != token.pk or token.pk not in joining:
            continue
        ApiToken.objects.filter(Q(merged_into=token.pk) | Q(pk=token.pk)).update(merged_into=leading)
        now = {one: leading if canonical == token.pk else canonical for one, canonical in now.items()}


def _lock(source: _Kind, target: _Kind) -> None:
    """Lock both, always in the same order: two admins may merge them into each other at once."""
    locked = type(source)._default_manager.select_for_update(no_key=True)
    rows = locked.filter(pk__in=[source.pk, target.pk])
    list(rows.order_by("pk").values_list("pk"))
    source.refresh_from_db()
    target.refresh_from_db()


def check(source: User | Group | ApiToken, target: User | Group | ApiToken) -> None:
    """Raise MergeError where the one cannot be part of the other."""
    if source.pk == target.pk:
        raise MergeError(_("It cannot be merged into itself."))
    if source.merged_into_id:
        raise MergeError(
            _("%(source)s is already merged into another. Separate it first.") % {"source": source}
        )
    if target.merged_into_id:
        raise MergeError(
            _("%(target)s is itself merged into %(other)s. Choose that one.")
            % {"target": target, "other": target.merged_into}
        )
    if type(source)._default_manager.filter(Q(merged_into=source.pk)).exists():
        raise MergeError(
            _("Others are merged into %(source)s. Separate them first, then merge each of them.")
            % {"source": source}
        )
    if isinstance(source, User) and (source.is_staff or source.is_superuser):
        raise MergeError(_("%(source)s is an admin. Remove that right first.") % {"source": source})
    if (
        isinstance(source, ApiToken)
        and isinstance(target, ApiToken)
        and source.owner.canonical_id != target.owner.canonical_id
    ):
        raise MergeError(
            _("%(target)s belongs to %(owner)s. Merge the users first, or choose a token of the same owner.")
            % {"target": target, "owner": target.owner}
        )
