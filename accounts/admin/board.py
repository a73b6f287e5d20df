"""People on the admin's page of things to settle: who may be somebody else, and who was merged lately."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.identities import doubts
from accounts.models import AuditEntry
from accounts.staff import audit
from routescope.admin import board
from routescope.admin.board import Kind, Left, Matter
from routescope.text import formatting

_LATELY = timedelta(days=7)
_MOST_ENTRIES = 5_000
"""Of the newest of the audit log, as many are looked at."""


def _in_doubt(left: Left) -> list[Matter]:
    found = [one for one in doubts.doubts(board.MOST + len(left)) if one.key not in left]
    return [
        Matter(
            one.key,
            str(one.one),
            reverse("admin:accounts_user_change", args=[one.one.pk]),
            _("Called “%(word)s”, as %(other)s is: perhaps one person, with records under two names.")
            % {"word": one.word, "other": one.other},
            _("Merge"),
            f"{reverse('admin:accounts_user_merge', args=[one.one.pk])}?target={one.other.pk}",
        )
        for one in found[: board.MOST]
    ]


def _merged(left: Left) -> list[Matter]:
    newest = AuditEntry.objects.order_by("-id").values("id")[:_MOST_ENTRIES]
    entries = (
        AuditEntry.objects.filter(
            pk__in=newest,
            act=AuditEntry.Act.MERGE,
            at__gte=timezone.now() - _LATELY,
            subject__merged_into__isnull=False,
        )
        .select_related("subject__merged_into", "actor")
        .order_by("-id")
    )
    found: dict[str, Matter] = {}
    for entry in entries[: board.MOST + len(left)]:
        user = entry.subject
        if user is None or user.merged_into is None:
            continue
        key = f"{user.pk}-{user.merged_into_id}"
        url = reverse("admin:accounts_user_change", args=[user.pk])
        words = {"other": user.merged_into, "who": entry.actor or "—", "when": formatting.when(entry.at)}
        why = _("Merged into %(other)s by %(who)s, %(when)s: separate them if they are two people.") % words
        if key not in left:
            found.setdefault(key, Matter(key, str(user), url, why, _("Review"), url))
    return list(found.values())[: board.MOST]


def _keep(request: HttpRequest, matter: Matter) -> None:
    audit.note(request, AuditEntry.Act.MERGE, None, f"{matter.what}: left as it is ({matter.why})")


board.to_settle(
    Kind(
        "identities",
        30,
        _lazy("Identities in doubt"),
        _lazy("Two names that may be one person. Merged, the records of both are one person's."),
        "accounts.view_user",
        "accounts.change_user",
        _in_doubt,
        _keep,
    )
)
board.to_settle(
    Kind(
        "merged",
        40,
        _lazy("Merged in the last seven days"),
        _lazy("Whoever reads the one reads the other's records too. Separating gives each their own again."),
        "accounts.view_user",
        "accounts.change_user",
        _merged,
        _keep,
    )
)
