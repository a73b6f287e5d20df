"""What waits of unsigned callbacks."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Hint(models.Model):
    """Somebody says, without a signature, that there is news of a task. Nobody looked yet whether it exists.

    See ``intake.hints``: so many at most, and for some seconds.
    """

    platform = models.CharField(max_length=64)
    # As of tasks.models.MAX_ID_BYTES, which imports this module.
    provider_task_id = models.CharField(max_length=2_500)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["platform", "provider_task_id"], name="hint_once")
        ]

    def __str__(self) -> str:
        return self.provider_task_id
