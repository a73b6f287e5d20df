"""What an admin looked at and left as it is."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

_MOST_READ = 5_000


class LeftAsIs(models.Model):
    """A thing that was to be settled (`routescope.admin.board`) and is right as it is: it is not asked again.

    Who said so stands in the audit log.
    """

    kind = models.CharField(max_length=50)
    key = models.CharField(max_length=300)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        # Also finds one that is left already.
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="leftasis_kind_key")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.key}"

    @classmethod
    def keys(cls) -> dict[str, set[str]]:
        """Return the keys of what is left as it is, by kind: of the newest few thousand."""
        found: dict[str, set[str]] = {}
        for kind, key in cls.objects.order_by("-id").values_list("kind", "key")[:_MOST_READ]:
            found.setdefault(kind, set()).add(key)
        return found
