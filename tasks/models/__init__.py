"""What the database holds of tasks, how many they are, what arrived before them, and who is asked."""

from tasks.models.hooks import EarlyReport, EarlyWebhook, Hint, WebhookDelivery
from tasks.models.providers import HostHealth, Provider, ProviderCredential
from tasks.models.sums import TaskDay, TaskDayFolded, TaskHour, TaskHourFolded, TaskSumPending
from tasks.models.tasks import (
    FAILED_STATUSES,
    HAS_CAUSE,
    MADE_STATUSES,
    MAX_ID_BYTES,
    OPEN_STATUSES,
    STATUS_MARKS,
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    EventKind,
    EventReason,
    TaskEvent,
    TaskStatus,
    TaskType,
)

__all__ = [
    "FAILED_STATUSES",
    "HAS_CAUSE",
    "MADE_STATUSES",
    "MAX_ID_BYTES",
    "OPEN_STATUSES",
    "STATUS_MARKS",
    "UNSUCCESSFUL_STATUSES",
    "AsyncTask",
    "EarlyReport",
    "EarlyWebhook",
    "EventKind",
    "EventReason",
    "Hint",
    "HostHealth",
    "Provider",
    "ProviderCredential",
    "TaskDay",
    "TaskDayFolded",
    "TaskEvent",
    "TaskHour",
    "TaskHourFolded",
    "TaskStatus",
    "TaskSumPending",
    "TaskType",
    "WebhookDelivery",
]
