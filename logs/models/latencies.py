"""How long calls took, counted once for hours and days that are over (`logs.rollups.latencies`), and added up
for longer ones (`logs.rollups.latency_blocks`).
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from logs.models.records import Cause, RecordType, Status


class PeriodUnit(models.IntegerChoices):
    """How long a period of latencies is, in UTC."""

    HOUR = 0, _("Hour")
    DAY = 1, _("Day")
    SIX_HOURS = 2, _("Six hours")
    WEEK = 3, _("Week")


class _Sketches(models.Model):
    """Counts of buckets (`logs.rollups.sketches`), of calls that have such a value."""

    user_id = models.IntegerField(help_text=_("0 is everybody."))
    unit = models.SmallIntegerField(choices=PeriodUnit)
    start = models.DateTimeField(help_text=_("When it begins, in UTC."))
    durations = ArrayField(models.IntegerField())
    ttfts = ArrayField(models.IntegerField())
    speeds = ArrayField(models.IntegerField())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"Latencies of user {self.user_id} from {self.start.isoformat()}"


class Latencies(_Sketches):
    """Of all calls of a user, or of everybody, in a period with many that is over.

    A period in which a record is added or changed does not hold while that waits to be folded in, and is
    stale from then on until it is counted anew. What does not stand here is read from the records.
    """

    pk = models.CompositePrimaryKey("user_id", "unit", "start")
    is_stale = models.BooleanField(help_text=_("Records were added or changed since."))

    class Meta:
        db_table = "usage_latency"
        default_permissions = ()


class LatencyPart(_Sketches):
    """The same by what can be filtered by; of everybody not by token, which stands as 0.

    Beside it everybody's by one column alone, under users of their own, the others standing as 0
    (`logs.rollups.latency_periods.EVERYONE_BY`).
    """

    pk = models.CompositePrimaryKey(
        "user_id", "unit", "start", "token_id", "model_id", "group_id", "type", "status", "cause"
    )
    token_id = models.IntegerField()
    model_id = models.IntegerField()
    group_id = models.IntegerField()
    type = models.SmallIntegerField(choices=RecordType)
    status = models.SmallIntegerField(choices=Status)
    cause = models.SmallIntegerField(choices=Cause)

    class Meta:
        db_table = "usage_latency_part"
        default_permissions = ()
