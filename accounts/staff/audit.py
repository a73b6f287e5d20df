"""Who looked at whose content, and other acts that a person may later be asked about."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts.models import AuditEntry

SCHEDULER = "the scheduler"
"""Who ran what no person did."""


def note_unattended(act: str, what: str, by: str) -> AuditEntry:
    """Write down that ``act`` was done to ``what`` without a request; ``by`` says in words who ran it."""
    return AuditEntry.objects.create(act=act, object=f"{what}, by {by}"[:300])


def note(request: HttpRequest, act: str, subject: Any, what: str) -> AuditEntry:
    """Write down that the person of ``request`` did ``act`` to ``what`` of ``subject``, a User."""
    return AuditEntry.objects.create(
        actor_id=request.user.pk,
        act=act,
        subject=subject,
        object=what[:300],
        ip=request.META.get("REMOTE_ADDR") or None,
    )
