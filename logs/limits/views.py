"""The page of a person's API tokens, and the page of one token against its limits."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import ApiToken
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from logs.filters.asked import usage_filter, usage_scope
from logs.filters.range_filter import RangeFilter
from logs.filters.usage_filter import CHART, EACH
from logs.rollups import token_limits
from logs.rollups.own_tokens import OwnToken, TokenFace, own_tokens
from logs.rollups.token_peaks import Gauge
from logs.selection import lookback
from logs.usage.charting import chart_of
from routescope.data.scopes import OF
from routescope.data.snapshot import snapshot
from routescope.filters.address import RANGE, Address
from routescope.filters.filter_set import RangeMenu


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token and the ways from it: ``limits`` is its own page, ``records`` its records, of the range."""

    own: OwnToken
    range: Address

    @property
    def limits(self) -> str:
        return self.range.with_(token=self.own.token.name).of(reverse("usage-limits"))

    @property
    def records(self) -> Address:
        return self.range.with_(token=self.own.token.name)

    @property
    def refusals(self) -> Address:
        return self.records.with_(errors=EACH, cause="rate_limit")


@require_GET
@login_required
def tokens(request: AuthenticatedRequest) -> HttpResponse:
    """The person's API tokens: peaks against limits, spend, last use, and what each may do."""
    scope = usage_scope(viewer_of(request), "")
    filters = RangeFilter(request.GET, scope=scope)
    with snapshot():
        now = timezone.now()
        own = own_tokens(scope, filters.chosen_range(now), now)
    context = {
        "filters": filters,
        "address": filters.address,
        "controls": {"range": RangeMenu.of(filters)},
        "own": own,
        "rows": [TokenRow(row, filters.address) for row in own.rows],
        "usage_path": reverse("usage"),
        "page_path": reverse("tokens"),
    }
    return render(request, "logs/tokens.html", context)


@require_GET
@login_required
def limits(request: AuthenticatedRequest) -> HttpResponse:
    """A token against its limits: its peaks, the minutes over them, the calls that crossed, what to do.

    Of the query string its token, its range and its chart alone: a limit counts all calls of a token.
    """
    query = QueryDict(mutable=True)
    for name in (OF, "token", *CHART, *RANGE):
        query.setlist(name, request.GET.getlist(name))
    with snapshot():
        filters = usage_filter(viewer_of(request), query)
        scope = filters.scope
        token = filters.one_token
        if token is None:
            raise Http404
        selection, now = filters.selection, filters.now
        looked = lookback.newest(scope, selection, token_limits.MOST_CALLS).looked
        chart = chart_of(filters, usual=_usual(token))
        traffic = chart.traffic
        usage = filters.address.without("live")
        context = {
            "filters": filters,
            "address": filters.address,
            "controls": {"range": RangeMenu.of(filters)},
            "token": token,
            "face": TokenFace(token),
            "looked": looked,
            "chart": chart,
            "rpm": Gauge(traffic.peak_rpm, token.rpm_limit, traffic.now_rpm),
            "tpm": Gauge(traffic.peak_tpm, token.tpm_limit, traffic.now_tpm),
            "refused": sum(bucket.rate_limited for bucket in traffic.buckets),
            "refusals": usage.with_(errors=EACH, cause="rate_limit"),
            "minutes": token_limits.minutes_over(scope, selection, token, now),
            "most_minutes": token_limits.MOST_MINUTES,
            "crossings": token_limits.crossings(scope, selection, token, now),
            "most_crossings": token_limits.MOST_CROSSINGS,
            "page_path": reverse("usage-limits"),
            "usage_path": reverse("usage"),
            "contact": _contact(),
            "may_set": not scope.viewer.is_as_another and request.user.has_perm("accounts.change_apitoken"),
        }
    return render(request, "logs/limits.html", context)


def _usual(token: ApiToken) -> str:
    """Return what the chart draws unless another metric is asked for: what can be held against a limit."""
    return "tpm" if token.rpm_limit is None and token.tpm_limit is not None else "rpm"


def _contact() -> dict[str, str]:
    """Return whom to ask for a higher limit, as a ``mail`` address or a ``page``; empty where nobody said."""
    said = settings.SUPPORT_CONTACT
    if said.startswith("https://"):
        return {"page": said}
    return {"mail": said} if "@" in said else {}
