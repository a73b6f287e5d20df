"""A person's API tokens at the gateway: what each is, has cost, and when it was last used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Max, Q
from django.utils import timezone

from accounts.models import ApiToken, User
from logs.models import UsageHour, UsageRecord
from logs.rollups.breakdown import By, breakdown
from logs.rollups.own_sums import NOTHING, Totals
from logs.selection.chosen import Selection
from routescope.data.owned import id_range
from routescope.data.ranges import HOUR, Preset, TimeRange, preset_range

KINDS = {
    ApiToken.Status.ACTIVE: "success",
    ApiToken.Status.DISABLED: "neutral",
    ApiToken.Status.EXPIRED: "limit",
    ApiToken.Status.EXHAUSTED: "error",
}


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A token with its sums of the last 30 days and of all time. ``last_used_at`` None: never."""

    token: ApiToken
    lately: Totals
    ever: Totals
    last_used_at: datetime | None

    @property
    def kind(self) -> str:
        return KINDS[ApiToken.Status(self.token.status)]

    @property
    def query(self) -> str:
        """The query string of the list of its records, all of them."""
        return urlencode({"token": self.token.name, "range": Preset.ALL.value})


def own_tokens(user: User) -> list[OwnToken]:
    """Return the person's tokens, the last used first: six queries at most, however many records."""
    now = timezone.now()
    month = preset_range(Preset.MONTH, now, timezone.get_current_timezone())
    lately, ever = (_by_token(user, chosen) for chosen in (month, TimeRange()))
    used = _last_used(user)
    mine = ApiToken.objects.filter(owner__in=user.ids).select_related("group").order_by("name", "id")
    last: dict[int, datetime] = {}
    for token in mine:
        if at := used.get(token.pk):
            now_it_is = token.merged_into_id or token.pk
            last[now_it_is] = max(at, last.get(now_it_is, at))
    rows = [
        OwnToken(token, lately.get(token.pk, NOTHING), ever.get(token.pk, NOTHING), last.get(token.pk))
        for token in mine
        if token.merged_into_id is None
    ]
    return sorted(rows, key=lambda row: -(row.last_used_at.timestamp() if row.last_used_at else 0))


def _by_token(user: User, chosen: TimeRange) -> dict[int, Totals]:
    lines = breakdown(user, Selection(chosen), By.TOKEN)
    return {line.value: line.totals for line in lines if isinstance(line.value, int)}


def _last_used(user: User) -> Mapping[int, datetime]:
    """Return when each token was last used: the hour from the sums, the moment from that hour's records."""
    hours = dict(
        UsageHour.objects.filter(user_id__in=user.ids, token_id__gt=0)
        .values_list("token_id")
        .annotate(last=Max("start"))
    )
    if not hours:
        return {}
    held = Q()
    for token_id, start in hours.items():
        held |= Q(token_id=token_id) & id_range(TimeRange(start, start + HOUR))
    rows = UsageRecord.objects.visible_to(user).filter(held).order_by()
    return dict(rows.values_list("token_id").annotate(last=Max("created_at")))
