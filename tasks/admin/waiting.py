"""What providers keep waiting, in the admin: hosts that are left alone, and webhooks before their tasks."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _lazy

from routescope.admin import ReadOnlyAdmin
from routescope.admin.sections import Section
from tasks.models import EarlyWebhook, HostHealth


@admin.register(HostHealth)
class HostHealthAdmin(ReadOnlyAdmin[HostHealth]):
    section, place = Section.PROVIDERS, 3
    about = _lazy(
        "Hosts of providers that failed, were slow, or asked to wait, and until when they are left alone."
    )
    fills = _lazy("A host is here from its first such answer on, and for a week after the last.")
    list_display = (
        "host",
        "failures",
        "paused_until",
        "slow_until",
        "last_error",
        "last_answer_at",
        "noted_at",
    )
    search_fields = ("host",)
    ordering = ("-noted_at",)


@admin.register(EarlyWebhook)
class EarlyWebhookAdmin(ReadOnlyAdmin[EarlyWebhook]):
    """What waits, and how much of it; not what it says."""

    section, place = Section.PROVIDERS, 4
    about = _lazy("Signed webhooks about tasks that no gateway has reported yet. They wait for a day.")
    fills = _lazy(
        "One comes where a provider is faster than the gateway, or the gateway does not report its tasks."
    )
    list_display = ("provider_task_id", "platform", "gateway", "received_at")
    list_filter = ("platform",)
    list_select_related = ("gateway",)
    search_fields = ("provider_task_id",)
    ordering = ("-received_at",)
    fields = ("provider_task_id", "platform", "gateway", "delivery_id", "received_at")
