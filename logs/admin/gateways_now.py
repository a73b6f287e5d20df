"""How the gateways do: what each sent last, what was refused, and how many of its newest calls failed.

Counted from what `accounts.gateways.deliveries` keeps by day, and from the newest records of the last hour:
so many at most (`MOST_READ`), through the index on their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Delivery, Gateway, UserIdentity
from logs.models import REQUEST_TYPES, Status
from routescope.admin import badge, board
from routescope.admin.board import Kind, Left, Matter, Panel
from routescope.data.ranges import HOUR, Preset
from routescope.text import formatting

MOST_READ = 5_000
"""Records of the last hour that are counted: the newest."""
ENOUGH = 20
"""Calls from which on their share of failures says something."""
_FAILING = 0.2
_REFUSED = 0.05
_SILENT = timedelta(hours=24)
_DAYS = 8
"""Days of deliveries that are looked at: one that sent nothing for longer is no news."""


@dataclass(frozen=True, slots=True)
class GatewayNow:
    """One gateway. Calls and errors are of the last hour, what was refused of the UTC day."""

    gateway: Gateway
    keys: int
    last_at: datetime | None
    days: int
    requests: int
    accepted: int
    refused: int
    calls: int
    errors: int
    has_sent: bool

    @property
    def error_rate(self) -> float | None:
        return self.errors / self.calls if self.calls else None

    @property
    def is_failing(self) -> bool:
        return self.calls >= ENOUGH and self.errors / self.calls >= _FAILING

    @property
    def is_refused(self) -> bool:
        return self.refused > 0 and self.refused >= _REFUSED * (self.accepted + self.refused)

    @property
    def is_silent(self) -> bool:
        """Whether it sent nothing for a day, and did on most of the days before."""
        return self.last_at is not None and timezone.now() - self.last_at > _SILENT and self.days > _DAYS // 2

    @property
    def has_no_way_in(self) -> bool:
        """Whether nothing can arrive: without a key, nor by an import."""
        return not self.keys and not self.has_sent


def now() -> list[GatewayNow]:
    """Return how the active gateways do, at most `board.MOST` of them. Three queries."""
    moment = timezone.now()
    gateways = list(
        Gateway.objects.filter(is_active=True)
        .order_by("name", "pk")
        .annotate(
            keys=Count("ingest_keys", filter=Q(ingest_keys__revoked_at=None)),
            is_known=Exists(UserIdentity.objects.filter(gateway=OuterRef("pk"))),
        )[: board.MOST]
    )
    today = moment.astimezone(UTC).date()
    is_today = Q(day=today)
    sent: dict[int, dict[str, Any]] = {
        row["gateway_id"]: row
        for row in Delivery.objects.filter(day__gt=today - timedelta(days=_DAYS))
        .order_by()
        .values("gateway_id")
        .annotate(
            last=Max("last_at"),
            sent_days=Count("day", distinct=True),
            asked=Sum("requests", filter=is_today, default=0),
            kept=Sum("accepted", filter=is_today, default=0),
            duplicates_today=Sum("duplicates", filter=is_today, default=0),
            not_kept=Sum("refused", filter=is_today, default=0)
            + Sum("failed_requests", filter=is_today, default=0),
        )
    }
    calls = _last_hour(moment)
    found = []
    for gateway in gateways:
        row = sent.get(gateway.pk, {})
        counted = calls.get(gateway.pk, (0, 0, None))
        moments = [one for one in (row.get("last"), counted[2]) if one is not None]
        found.append(
            GatewayNow(
                gateway=gateway,
                keys=getattr(gateway, "keys", 0),
                last_at=max(moments, default=None),
                days=row.get("sent_days", 0),
                requests=row.get("asked", 0),
                accepted=row.get("kept", 0) + row.get("duplicates_today", 0),
                refused=row.get("not_kept", 0),
                calls=counted[0],
                errors=counted[1],
                has_sent=bool(row) or getattr(gateway, "is_known", False),
            )
        )
    return found


_NEWEST = """
    SELECT gateway_id, count(*), count(*) FILTER (WHERE status = %s), max(created_at)
    FROM (
        SELECT gateway_id, status, created_at FROM usage_record
        WHERE created_at >= %s AND created_at < %s AND type = ANY(%s)
        ORDER BY created_at DESC LIMIT %s
    ) AS newest
    GROUP BY gateway_id
"""


def _last_hour(moment: datetime) -> dict[int, tuple[int, int, datetime]]:
    """Return each gateway's calls and errors of the last hour, and the newest one's time."""
    calls = [one.value for one in REQUEST_TYPES]
    bounds: list[Any] = [Status.ERROR.value, moment - HOUR, moment, calls, MOST_READ]
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, bounds)
        return {gateway: (calls, errors, last) for gateway, calls, errors, last in cursor.fetchall()}


def _matters(left: Left) -> list[Matter]:
    return [matter for one in now() for matter in _of(one)][: board.MOST]


def _of(one: GatewayNow) -> Sequence[Matter]:
    name, pk = str(one.gateway), one.gateway.pk
    page = reverse("admin:accounts_gateway_change", args=[pk])
    sent = reverse("admin:accounts_gateway_sent", args=[pk])
    matters = []
    if one.is_refused:
        why = _("%(n)s of what it sent today were refused.") % {"n": formatting.exact(one.refused)}
        matters.append(Matter(f"{pk}-refused", name, page, why, _("See why"), f"{sent}#refused"))
    if one.is_failing:
        words = {"errors": formatting.exact(one.errors), "calls": formatting.exact(one.calls)}
        why = _("%(errors)s of its newest %(calls)s calls of the last hour failed.") % words
        failed = f"{reverse('admin:logs_usagerecord_changelist')}?range={Preset.HOUR}&status={Status.ERROR}"
        matters.append(Matter(f"{pk}-failing", name, page, why, _("See the failed calls"), failed))
    if one.is_silent:
        words = {"when": formatting.when(one.last_at), "ago": formatting.ago(one.last_at)}
        why = _("Silent: the last it sent was %(ago)s, %(when)s.") % words
        matters.append(Matter(f"{pk}-silent", name, page, why, _("See what it sent"), sent))
    if one.has_no_way_in:
        why = _("It has no key, and nothing has come from it.")
        issue = reverse("admin:accounts_gateway_issue_key", args=[pk])
        matters.append(Matter(f"{pk}-key", name, page, why, _("Issue a key"), issue))
    return matters


def _panel() -> Panel:
    rows = [
        (
            _link(one.gateway),
            _state(one),
            formatting.when(one.last_at),
            formatting.exact(one.accepted),
            _("%(share)s of %(calls)s")
            % {"share": formatting.percent(one.error_rate), "calls": formatting.exact(one.calls)}
            if one.calls
            else formatting.UNKNOWN,
        )
        for one in now()
    ]
    heads = (_("Gateway"), _("State"), _("Last sent"), _("Received today (UTC)"), _("Failed, last hour"))
    none = _("No gateway yet: add one, and give it a key.")
    url = reverse("admin:accounts_gateway_changelist")
    return Panel(_("Gateways"), url, heads, rows, "" if rows else none)


def _link(gateway: Gateway) -> SafeString:
    url = reverse("admin:accounts_gateway_change", args=[gateway.pk])
    return format_html('<a href="{}">{}</a>', url, gateway)


def _state(one: GatewayNow) -> str:
    if one.is_refused or one.is_failing:
        return badge("error", _("Refused") if one.is_refused else _("Failing"))
    if one.is_silent or one.has_no_way_in:
        return badge("limit", _("Silent") if one.is_silent else _("No key"))
    return badge("success", _("Sending")) if one.last_at else badge("quiet", _("Nothing yet"))


board.to_settle(
    Kind(
        "gateways",
        10,
        _lazy("Gateways with problems"),
        _lazy("What a gateway cannot send, nobody can look up later."),
        "accounts.view_gateway",
        "accounts.change_gateway",
        _matters,
    )
)
board.show_panel("gateways", 10, "accounts.view_gateway", _panel)
