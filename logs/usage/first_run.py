"""The first steps, as a checklist where a person has no record yet: it ticks itself off as they are done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.gateways import first_steps
from accounts.models import Gateway, User
from accounts.people.signed_in import AuthenticatedRequest
from logs.models import UsageRecord
from routescope.data.scopes import Scope

WATCHED = timedelta(minutes=15)
"""How long a page that stays open asks whether something has changed."""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """``began`` is when the page was shown; ``command`` sends a record of that moment to the person's own
    address. ``gateway_url`` and ``key_url`` lead admins on, and are empty for those who ask ``admins``.
    """

    began: datetime
    has_gateway: bool
    has_key: bool
    has_arrived: bool
    email: str
    command: str
    ingest_url: str
    gateway_url: str
    key_url: str
    admins: list[str]

    @property
    def is_watched(self) -> bool:
        """Whether the page is to go on asking."""
        return not self.has_arrived and timezone.now() - self.began < WATCHED

    @property
    def done(self) -> int:
        """How many of the four are."""
        return sum((self.has_gateway, self.has_key, self.has_arrived, self.has_arrived))

    @property
    def poll(self) -> str:
        """Where the page asks, and what for."""
        return f"{reverse('usage-first-steps')}?began={int(self.began.timestamp())}"

    @classmethod
    def of(cls, user: User, began: datetime) -> FirstSteps:
        """Return how far the console is for a person."""
        arrived = UsageRecord.objects.visible_to(Scope.own(user)).exists()
        return cls(
            began=began,
            has_gateway=arrived or first_steps.has_gateway(),
            has_key=arrived or first_steps.has_key(),
            has_arrived=arrived,
            email=user.email or "",
            command=first_steps.curl_asking(user.email or "", began),
            ingest_url=first_steps.ingest_url(),
            gateway_url=reverse("admin:accounts_gateway_add") if _may(user, "add") else "",
            key_url=_key_url() if _may(user, "change") else "",
            admins=first_steps.whom_to_ask(),
        )


@require_GET
@login_required
def steps(request: AuthenticatedRequest) -> HttpResponse:
    """Answer the checklist of a page that was shown at ``began``: how far things are by now."""
    context = {"first": FirstSteps.of(request.user, _began(request)), "page_path": reverse("usage")}
    return render(request, "logs/first_steps.html", context)


def _began(request: AuthenticatedRequest) -> datetime:
    text = request.GET.get("began", "")
    now = timezone.now()
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        return now
    return min(datetime.fromtimestamp(int(text), UTC), now)


def _may(user: User, what: str) -> bool:
    return user.is_staff and user.has_perm(f"accounts.{what}_gateway")


def _key_url() -> str:
    """Return where a key is issued: for the gateway, or for one of several, or where there will be one."""
    gateways = list(Gateway.objects.filter(is_active=True).values_list("pk", flat=True)[:2])
    if len(gateways) == 1:
        return reverse("admin:accounts_gateway_issue_key", args=gateways)
    return reverse("admin:accounts_gateway_changelist")
