"""The sums that say where a scope has records: of some users their own, of everybody those without a user."""

from __future__ import annotations

from django.db.models import QuerySet

from logs.models import UsageDay, UsageHour, UsageTotalDay, UsageTotalHour
from routescope.data.ranges import DAY, HOUR
from routescope.data.scopes import Scope


def hours(scope: Scope) -> QuerySet[UsageHour] | QuerySet[UsageTotalHour]:
    """Return the sums of hours that hold a scope's records: whole hours, whatever part of one is meant."""
    if scope.is_everyone:
        return UsageTotalHour.objects.all()
    return UsageHour.objects.filter(scope.periods(HOUR))


def days(scope: Scope) -> QuerySet[UsageDay] | QuerySet[UsageTotalDay]:
    """Return the same of days."""
    if scope.is_everyone:
        return UsageTotalDay.objects.all()
    return UsageDay.objects.filter(scope.periods(DAY))
