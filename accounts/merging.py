"""Making one of two: users, groups or API tokens that gateways know under different names.

Nothing is rewritten. What is merged keeps its row, and its records, those to come too, keep its id; whoever
reads the other's records reads these too (``ids``), and a name shows as the other's. Separated again, each
has what came under its own names.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.models import ApiToken, Group, TokenIdentity, User

_Kind = TypeVar("_Kind", User, Group, ApiToken)


class MergeError(ValueError):
    """Why two cannot be one, in a sentence for the admin."""


def merge(source: _Kind, target: _Kind) -> None:
    """Make ``source`` part of ``target``, past records and those to come. Raises MergeError.

    A user who is merged cannot sign in any more, and tokens of the same name become one.
    """
    with transaction.atomic():
        _lock(source, target)
        check(source, target)
        rows = type(source)._default_manager
        rows.filter(pk=source.pk).update(merged_into=target.pk)
        if isinstance(source, User) and isinstance(target, User):
            User.objects.filter(pk=source.pk).update(is_active=False)
            _merge_tokens(source, target)
    source.refresh_from_db()


def separate(source: _Kind) -> None:
    """Take a merged one out again: all records under its names are its own, and records to come too."""
    with transaction.atomic():
        if isinstance(source, User):
            tokens = ApiToken.objects.filter(owner=source).exclude(merged_into=None)
            tokens.exclude(merged_into__owner=source).update(merged_into=None)
            # Nor may another's records carry this user's tokens any more.
            others = ApiToken.objects.filter(merged_into__owner=source).exclude(owner=source)
            others.update(merged_into=None)
            TokenIdentity.objects.filter(token__owner=source).exclude(user=source).delete()
        type(source)._default_manager.filter(pk=source.pk).update(merged_into=None)
    source.refresh_from_db()


def _lock(source: _Kind, target: _Kind) -> None:
    """Lock both, always in the same order: two admins may merge them into each other at once."""
    rows = type(source)._default_manager.select_for_update().filter(pk__in=[source.pk, target.pk])
    list(rows.order_by("pk").values_list("pk"))
    source.refresh_from_db()
    target.refresh_from_db()


def check(source: User | Group | ApiToken, target: User | Group | ApiToken) -> None:
    """Raise MergeError where the one cannot be part of the other."""
    if source.pk == target.pk:
        raise MergeError(_("It cannot be merged into itself."))
    if source.merged_into_id:
        raise MergeError(
            _("%(source)s is merged into another already. Separate it first.") % {"source": source}
        )
    if target.merged_into_id:
        raise MergeError(
            _("%(target)s is itself merged into %(other)s. Choose that one.")
            % {"target": target, "other": target.merged_into}
        )
    if type(source)._default_manager.filter(Q(merged_into=source.pk)).exists():
        raise MergeError(
            _("Others are merged into %(source)s. Separate them first, and merge each of them.")
            % {"source": source}
        )
    if isinstance(source, User) and (source.is_staff or source.is_superuser):
        raise MergeError(_("%(source)s is an admin. Take that away first.") % {"source": source})
    if (
        isinstance(source, ApiToken)
        and isinstance(target, ApiToken)
        and source.owner.canonical_id != target.owner.canonical_id
    ):
        raise MergeError(
            _("%(target)s belongs to %(owner)s. Merge the users first, or choose a token of the same owner.")
            % {"target": target, "owner": target.owner}
        )


def _merge_tokens(source: User, target: User) -> None:
    of_target = ApiToken.objects.filter(Q(owner=target) | Q(owner__merged_into=target.pk)).exclude(
        owner=source
    )
    theirs = {token.name: token for token in of_target.filter(merged_into=None).order_by("-pk")}
    for token in ApiToken.objects.filter(owner=source, merged_into=None):
        if same := theirs.get(token.name):
            ApiToken.objects.filter(Q(merged_into=token.pk) | Q(pk=token.pk)).update(merged_into=same.pk)
