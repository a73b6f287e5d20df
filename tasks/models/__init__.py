"""What the database holds of tasks, of what arrived before them, and of the providers that are asked."""

from tasks.models.hooks import EarlyReport, EarlyWebhook, Hint, WebhookDelivery
from tasks.models.providers import HostHealth, Provider, ProviderCredential
from tasks.models.tasks import (
    MAX_ID_BYTES,
    OPEN_STATUSES,
    UNSUCCESSFUL_STATUSES,
    AsyncTask,
    EventKind,
    EventReason,
    TaskEvent,
    TaskStatus,
    TaskType,
)

__all__ = [
    "MAX_ID_BYTES",
    "OPEN_STATUSES",
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
    "TaskEvent",
    "TaskStatus",
    "TaskType",
    "WebhookDelivery",
]
