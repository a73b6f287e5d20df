"""Admins whose changes the audit log keeps, in the transaction that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from django.contrib.admin.models import LogEntry
from django.db import models, transaction
from django.http import HttpRequest
from django.utils import translation

from accounts.models import AuditEntry, User
from accounts.staff import audit
from routescope.admin.guards import GuardedAdmin

_Row = TypeVar("_Row", bound=models.Model)


class AuditedAdmin(GuardedAdmin[_Row]):
    """Writes down whatever Django's own history does: additions, changes, deletions, and acts of our pages.

    Django's history is a help for editors: it is deleted with the one who acted. The audit log stays.
    A page of ours that acts wraps the act and its ``log_change`` in one transaction.
    """

    audited_as: ClassVar[AuditEntry.Act]

    def audit_subject(self, obj: Any) -> User | None:
        """Return whom the change is about, where it is about one person."""
        return obj if isinstance(obj, User) else None

    def audit(
        self, request: HttpRequest, obj: models.Model, what: str, act: AuditEntry.Act | None = None
    ) -> None:
        """Write down that ``what`` was done to ``obj``, under the admin's own kind of act or another."""
        audit.note(request, act or self.audited_as, self.audit_subject(obj), f"{obj}: {what}")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        with transaction.atomic():
            entry = super().log_addition(request, obj, message)
            self.audit(request, obj, _in_words(entry))
        return entry

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry:
        with transaction.atomic():
            entry = super().log_change(request, obj, message)
            self.audit(request, obj, _in_words(entry))
        return entry

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        with transaction.atomic():
            entries = super().log_deletions(request, queryset)  # type: ignore[arg-type]
            for obj in queryset:
                self.audit(request, obj, "Deleted.")
        return entries


def _in_words(entry: LogEntry) -> str:
    """Return what an entry of Django's history says, in the audit log's one language."""
    with translation.override("en"):
        return entry.get_change_message()
