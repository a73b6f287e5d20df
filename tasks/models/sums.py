"""How many tasks there are: views and tables that are made by SQL beside the migrations."""

from __future__ import annotations

from django.db import models


class TaskSum(models.Model):
    """How many of a user's tasks, submitted in one period, agree in every dimension: to be added up.

    The views hold what is folded in and what waits to be (`tasks.sums.pending`): of several rows with the
    same dimensions some may be negative. A task without token, model or group is counted under 0,
    one without a cause under nothing.
    """

    pk = models.CompositePrimaryKey(
        "user_id", "start", "status", "type", "platform", "token_id", "model_id", "group_id", "cause"
    )
    user_id = models.IntegerField()
    start = models.DateTimeField(help_text="Start of the UTC hour or day.")
    status = models.CharField(max_length=24)
    type = models.CharField(max_length=16)
    platform = models.CharField(max_length=64)
    token_id = models.IntegerField()
    model_id = models.IntegerField()
    group_id = models.IntegerField()
    cause = models.CharField(max_length=24)
    tasks = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.db_table} from {self.start.isoformat()}"


class TaskHour(TaskSum):
    """The counts of an hour: also the index of where rare tasks are."""

    class Meta:
        db_table = "tasks_hour"
        default_permissions = ()


class TaskDay(TaskSum):
    """The counts of a UTC day."""

    class Meta:
        db_table = "tasks_day"
        default_permissions = ()


# The tables behind these views.


class TaskSumPending(TaskSum):
    """What statements added to the counts and took from them since the last fold (`tasks.sums.pending`)."""

    class Meta:
        db_table = "tasks_sum_pending"
        default_permissions = ()


class TaskHourFolded(TaskSum):
    class Meta:
        db_table = "tasks_sum_hour"
        default_permissions = ()


class TaskDayFolded(TaskSum):
    class Meta:
        db_table = "tasks_sum_day"
        default_permissions = ()
