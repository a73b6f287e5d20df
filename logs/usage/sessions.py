"""The Sessions view: a line a session, and the calls of one session as a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from accounts.models import AIModel
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import viewer_of
from logs.filters.asked import usage_scope
from logs.filters.usage_filter import VIEW
from logs.listing import own_records
from logs.models import UsageRecord
from logs.models.marks import SESSION, digest_of
from logs.pricing.consumed import Consumed
from logs.pricing.quotes import PriceBook, Quote
from logs.record.details import CALLED
from logs.record.tokens import in_and_out
from logs.rollups.own_sums import Totals
from logs.rollups.session_sums import SessionSum, by_session
from logs.selection.chosen import Selection
from routescope.data.scopes import OF, Scope
from routescope.data.snapshot import snapshot
from routescope.filters.address import Address
from routescope.text.identifiers import shown

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter

MOST_ROWS = 100
"""Lines of their own, those that were used last; the rest are added up in one."""
MOST_CALLS = 200
_MOST_MODELS = 3
_A_THOUSAND = 1_000


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session. ``query`` lists its calls, ``url`` is its timeline; ``saved`` is about what tokens from a
    cache cost less than others would have, in USD: None where no price is known.
    """

    session: str
    totals: Totals
    first: datetime | None = None
    last: datetime | None = None
    models: Sequence[str] = ()
    further_models: int = 0
    retries: int = 0
    saved: Decimal | None = None
    query: Address | None = None
    url: str = ""

    @property
    def lasted_ms(self) -> int | None:
        """Milliseconds from the first call to the last."""
        if self.first is None or self.last is None:
            return None
        return round((self.last - self.first) / timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True)
class Sessions:
    """The lines, last used first. ``others`` are the sessions that are not listed, ``without`` the records
    that are of none; None where there are none. ``count`` is how many sessions there are.
    """

    lines: Sequence[SessionLine]
    others: SessionLine | None
    without: SessionLine | None
    count: int


def sessions(scope: Scope, filters: UsageFilter, selection: Selection) -> Sessions | None:
    """Return the sessions of a selection; None where it holds no record."""
    found = dict(by_session(scope, selection))
    without = found.pop("", None)
    if not found and without is None:
        return None
    ordered = sorted(
        found.values(), key=lambda one: (one.last is not None and one.last, one.session), reverse=True
    )
    listed, rest = ordered[:MOST_ROWS], ordered[MOST_ROWS:]
    book = PriceBook(
        {model for one in listed for model, _group in one.cached},
        {group for one in listed for _model, group in one.cached},
    )
    return Sessions(
        [_line(filters, book, one) for one in listed],
        SessionLine("", Totals.added(one.totals for one in rest)) if rest else None,
        _without(filters, without) if without else None,
        len(ordered),
    )


def _line(filters: UsageFilter, book: PriceBook, one: SessionSum) -> SessionLine:
    names = filters.vocabulary.models.of
    models = [names[model] for model in one.models if model in names]
    asked = {"session": one.session, **({OF: filters.whole.of} if filters.whole.of else {})}
    return SessionLine(
        one.session,
        one.totals,
        one.first,
        one.last,
        models[:_MOST_MODELS],
        max(len(models) - _MOST_MODELS, 0),
        one.retries,
        _saved(book, one, names),
        filters.address.without(*VIEW).with_(session=one.session),
        f"{reverse('usage-session')}?{urlencode(asked)}",
    )


def _without(filters: UsageFilter, one: SessionSum) -> SessionLine:
    return SessionLine("", one.totals, one.first, one.last, retries=one.retries)


def _saved(book: PriceBook, one: SessionSum, names: dict[int, str]) -> Decimal | None:
    """Return about what a session's tokens from a cache saved: by today's catalogue, and the plain tier."""
    saved = Decimal(0)
    for (model_id, group_id), cached in one.cached.items():
        if not cached or one.last is None:
            continue
        plain, cheaper = (
            book.quote(
                Consumed(
                    at=one.last,
                    model_id=model_id,
                    model=names.get(model_id or 0, ""),
                    provider=None,
                    group_id=group_id,
                    counts={"input_tokens": _A_THOUSAND, **counts},
                )
            )
            for counts in ({}, {"cached_tokens": _A_THOUSAND})
        )
        if not isinstance(plain, Quote) or not isinstance(cheaper, Quote):
            return None
        saved += (plain.total - cheaper.total) * cached / _A_THOUSAND
    return saved


# --- One session -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimelineCall:
    """A call of a session: ``left`` and ``width`` are its place on the session's time, in percent."""

    record: UsageRecord
    tokens: SafeString
    model: str
    after_ms: int
    left: str
    width: str
    url: str


@require_GET
@login_required
def session(request: AuthenticatedRequest) -> HttpResponse:
    """One session as a page of its own. 404 for another's as for none."""
    return render(request, "logs/session.html", _session(request))


@require_GET
@login_required
def session_details(request: AuthenticatedRequest) -> HttpResponse:
    """One session's timeline as a row of the view."""
    return render(request, "logs/session.html#row", _session(request))


def _session(request: AuthenticatedRequest) -> dict[str, object]:
    scope = usage_scope(viewer_of(request), request.GET)
    named = shown(request.GET.get("session", ""))
    if not named or scope.is_without_content:
        raise Http404
    with snapshot():
        selection = Selection(marks=((digest_of(SESSION, named),),))
        keys = own_records.newest_keys(scope, selection, MOST_CALLS + 1)
        mine = UsageRecord.objects.visible_to(scope).of_keys(keys[:MOST_CALLS])
        records = list(mine.select_related("model", *CALLED).order_by("id"))
    if not records:
        raise Http404
    return {
        "session": named,
        "calls": _timeline(records, scope),
        "has_more": len(keys) > MOST_CALLS,
        "totals": Totals.of(records),
        "scope": scope,
        "tab": "usage",
        "row_id": f"session-{digest_of(SESSION, named) & 0xFFFFFFFF:x}",
        "page_path": reverse("usage"),
        "listed": Address({OF: [scope.of] if scope.of else []}).with_(session=named, range="all"),
    }


def _timeline(records: Sequence[UsageRecord], scope: Scope) -> list[TimelineCall]:
    begin = records[0].created_at
    ends = [one.created_at + timedelta(milliseconds=one.duration_ms or 0) for one in records]
    whole = max((max(ends) - begin) / timedelta(milliseconds=1), 1.0)
    calls = []
    for record in records:
        after = (record.created_at - begin) / timedelta(milliseconds=1)
        model = cast("AIModel | None", record.model)
        calls.append(
            TimelineCall(
                record,
                in_and_out(record),
                model.name if model else "",
                round(after),
                f"{100 * after / whole:.2f}",
                f"{max(100 * (record.duration_ms or 0) / whole, 0.6):.2f}",
                reverse("usage-record", args=[record.pk]) + scope.query,
            )
        )
    return calls
