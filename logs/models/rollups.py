"""The sums of usage records: views and tables that are made by SQL beside the migrations."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from logs.models.records import MONEY_DIGITS, MONEY_PLACES, Cause, RecordType, Status


class Rollup(models.Model):
    """Sums of the records of one period that agree in every dimension: to be added up, never counted.

    Views of what is folded in and what waits to be (`logs.rollups.pending`): exact after every commit, and of
    several rows with the same dimensions some may be negative, where a record moved. A record without token,
    model or group is summed under 0.
    """

    start = models.DateTimeField(help_text=_("Start of the UTC hour or day."))
    model_id = models.IntegerField()
    group_id = models.IntegerField()
    type = models.SmallIntegerField(choices=RecordType)
    status = models.SmallIntegerField(choices=Status)
    cause = models.SmallIntegerField(choices=Cause)
    records = models.BigIntegerField()
    unpriced = models.BigIntegerField(help_text=_("Of the records, those without a known price."))
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    # What no record of the sum exceeds: true, though perhaps of none any more. NULL: none has such a value.
    max_cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True)
    max_duration_ms = models.IntegerField(null=True)
    max_tokens = models.BigIntegerField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.db_table} from {self.start.isoformat()}"


class _OfUser(Rollup):
    pk = models.CompositePrimaryKey(
        "user_id", "start", "token_id", "model_id", "group_id", "type", "status", "cause"
    )
    user_id = models.IntegerField()
    token_id = models.IntegerField()

    class Meta(Rollup.Meta):
        abstract = True


class _OfEveryone(Rollup):
    """All users' sums, for admins. Not by token: it belongs to one user, whose own sums answer for it."""

    pk = models.CompositePrimaryKey("start", "model_id", "group_id", "type", "status", "cause")

    class Meta(Rollup.Meta):
        abstract = True


class UsageHour(_OfUser):
    """A user's sums of an hour: the header, and the index of where rare values occur."""

    class Meta:
        db_table = "usage_hour"
        default_permissions = ()


class UsageDay(_OfUser):
    """A user's sums of a UTC day."""

    class Meta:
        db_table = "usage_day"
        default_permissions = ()


class UsageTotalHour(_OfEveryone):
    class Meta:
        db_table = "usage_total_hour"
        default_permissions = ()


class UsageTotalDay(_OfEveryone):
    class Meta:
        db_table = "usage_total_day"
        default_permissions = ()


class _MinuteOfEveryone(models.Model):
    """All users' sums of a minute, by what became of the records: as `Rollup`, of fewer dimensions."""

    pk = models.CompositePrimaryKey("start", "type", "status", "cause")
    start = models.DateTimeField(help_text=_("Start of the minute."))
    type = models.SmallIntegerField(choices=RecordType)
    status = models.SmallIntegerField(choices=Status)
    cause = models.SmallIntegerField(choices=Cause)
    records = models.BigIntegerField()
    unpriced = models.BigIntegerField(help_text=_("Of the records, those without a known price."))
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.db_table} from {self.start.isoformat()}"


class UsageTotalMinute(_MinuteOfEveryone):
    class Meta:
        db_table = "usage_total_minute"
        default_permissions = ()


# The tables behind these views.


class UsagePending(_OfUser):
    """What transactions added to the sums and took from them since the last fold (`logs.rollups.pending`).

    ``has_minutes``: what it adds to everybody's minutes waits beside it.
    """

    has_minutes = models.BooleanField(default=False)

    class Meta:
        db_table = "usage_pending"
        default_permissions = ()


class UsageHourFolded(_OfUser):
    class Meta:
        db_table = "usage_hour_folded"
        default_permissions = ()


class UsageDayFolded(_OfUser):
    class Meta:
        db_table = "usage_day_folded"
        default_permissions = ()


class UsageTotalHourFolded(_OfEveryone):
    class Meta:
        db_table = "usage_total_hour_folded"
        default_permissions = ()


class UsageTotalDayFolded(_OfEveryone):
    class Meta:
        db_table = "usage_total_day_folded"
        default_permissions = ()


class UsageTotalMinuteFolded(_MinuteOfEveryone):
    class Meta:
        db_table = "usage_total_minute_folded"
        default_permissions = ()


class UsageMinutePending(_MinuteOfEveryone):
    """What waits to be folded into everybody's minutes."""

    class Meta:
        db_table = "usage_minute_pending"
        default_permissions = ()


class Slices(models.IntegerChoices):
    """Whether what filters leave of an hour is kept beside it."""

    UNCOUNTED = 0, _("Not counted")
    KEPT = 1, _("Kept")
    TOO_MANY = 2, _("Too many")


class TrafficHour(models.Model):
    """The calls of a user's busy hour that is over, with its busiest minutes: the chart's without a filter.

    Counted from the records (`logs.rollups.busy_hours`), and of user 0, who is everybody, from the minutes.
    One in which a record is added or changed does not hold while that waits to be folded in, and is stale
    from then on until it is counted anew.
    """

    pk = models.CompositePrimaryKey("user_id", "start")
    user_id = models.IntegerField()
    start = models.DateTimeField(help_text=_("Start of the UTC hour."))
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    rate_limited = models.BigIntegerField()
    tokens = models.BigIntegerField()
    peak_rpm = models.BigIntegerField()
    peak_tpm = models.BigIntegerField()
    peak_rpm_minute = models.SmallIntegerField(help_text=_("Of the hour, 0 to 59: the earliest of equals."))
    peak_tpm_minute = models.SmallIntegerField()
    is_stale = models.BooleanField(help_text=_("Records were added or changed since."))
    slices = models.SmallIntegerField(choices=Slices, db_default=Slices.UNCOUNTED)

    class Meta:
        db_table = "usage_traffic_hour"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Traffic of user {self.user_id} from {self.start.isoformat()}"


class TrafficSlice(models.Model):
    """What a filter leaves of a busy hour: the calls of one token, one model, both, or those that failed.

    `ANY` stands for what is not filtered by, 0 for records without a token or model. It holds where its
    `TrafficHour` does, and a slice without a call has no row. Of everybody there are none by token.
    """

    ANY = -1

    pk = models.CompositePrimaryKey("user_id", "token_id", "model_id", "status", "start")
    user_id = models.IntegerField()
    token_id = models.IntegerField()
    model_id = models.IntegerField()
    status = models.SmallIntegerField()
    start = models.DateTimeField(help_text=_("Start of the UTC hour."))
    requests = models.IntegerField()
    errors = models.IntegerField()
    rate_limited = models.IntegerField()
    tokens = models.BigIntegerField()
    peak_rpm = models.IntegerField()
    peak_tpm = models.BigIntegerField()
    peak_rpm_minute = models.SmallIntegerField(help_text=_("Of the hour, 0 to 59: the earliest of equals."))
    peak_tpm_minute = models.SmallIntegerField()

    class Meta:
        db_table = "usage_traffic_slice"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Slice of the traffic of user {self.user_id} from {self.start.isoformat()}"


class UnboundedDay(models.Model):
    """A UTC day of before sums had bounds: they are read from its records (`logs.rollups.bounds`)."""

    start = models.DateTimeField(primary_key=True, help_text=_("Start of the UTC day."))

    class Meta:
        db_table = "usage_unbounded_day"
        default_permissions = ()

    def __str__(self) -> str:
        return f"No bounds of {self.start:%Y-%m-%d}"


class UncountedDay(models.Model):
    """A UTC day whose minutes are not counted: of before they were kept (`logs.rollups.minute_sums`)."""

    start = models.DateTimeField(primary_key=True, help_text=_("Start of the UTC day."))

    class Meta:
        db_table = "usage_uncounted_day"
        default_permissions = ()

    def __str__(self) -> str:
        return f"No minutes of {self.start:%Y-%m-%d}"
