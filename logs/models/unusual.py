"""Hours that were unlike what is usual for their weekday and time of day (`logs.rollups.unusual`)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from logs.models.records import MONEY_DIGITS, MONEY_PLACES


class UnusualHour(models.Model):
    """An hour in which somebody, or everybody (user 0), had far more of something than usual.

    ``usual`` is the median of that weekday and time of day; ``model_id`` and ``token_id`` are those of which
    most of the excess is, 0 where it is of several.
    """

    class What(models.TextChoices):
        REQUESTS = "requests", _("requests")
        ERRORS = "errors", _("errors")
        COST = "cost", _("cost")

    pk = models.CompositePrimaryKey("user_id", "start", "what")
    user_id = models.IntegerField()
    start = models.DateTimeField(help_text=_("Start of the UTC hour."))
    what = models.CharField(max_length=8, choices=What)
    value = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    usual = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    model_id = models.IntegerField(default=0)
    token_id = models.IntegerField(default=0)

    class Meta:
        db_table = "usage_unusual_hour"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.what} of user {self.user_id} from {self.start.isoformat()}"


class UnusualUntil(models.Model):
    """Up to when hours are compared with what is usual: one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    end = models.DateTimeField(help_text=_("End of the last UTC hour that was compared."))

    class Meta:
        db_table = "usage_unusual_until"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Compared until {self.end.isoformat()}"
