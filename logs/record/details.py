"""Everything that the details of one record show beside the record itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from accounts.gateways import error_texts
from accounts.models import AIModel, ApiToken
from accounts.staff.rights import Reading, reading_of
from logs.causes.judging import Verdict, verdict_on
from logs.content import contents
from logs.content.contents import Content
from logs.models import Cause, Level, UsageRecord
from logs.models.events import COUNTS_READ, JSONObject
from logs.models.marks import ANSWERED_BY, ASKED_FOR, SESSION, TAGS, facets_of
from logs.models.querysets import UsageRecordQuerySet
from logs.pricing.quotes import PriceBook
from logs.pricing.receipts import Receipt, receipt
from logs.record import tokens
from logs.record.attempts import Attempt, timeline
from logs.record.content_shown import ContentShown, shown
from logs.record.ordered import ordered
from logs.record.support_note import note
from routescope.config import links
from routescope.contracts import work_done
from routescope.data.ranges import MINUTE, Preset, floor
from routescope.data.scopes import OF, Scope
from routescope.filters.address import Address

CALLED = ("token__merged_into", "group__merged_into")
"""What a record's names are read from: see `Mergeable.called`."""
_HIDDEN = _("Hidden: a team's errors are shown without their words, which may quote what was sent.")
_MOST_RELATED = 20
_MOST_READ = 300
_TOO_MANY = 429
_AROUND = timedelta(minutes=30)
_SAID = (COUNTS_READ, ASKED_FOR, ANSWERED_BY)
"""Of the metadata, what the details say in words of their own."""
_RECENT = timedelta(days=29)


@dataclass(frozen=True, slots=True)
class FacetLink:
    """A tag (whose ``key`` is empty), or a value of metadata, and where its records are listed."""

    key: str | StrPromise
    value: str
    url: str


@dataclass(frozen=True, slots=True)
class Details:
    """``verdict`` is None for a call that succeeded.

    ``related`` are the scope's other records of the same request or task; ``net`` USD is what all of them
    charge together. ``counted`` are its counts as (label, number), ``how_counted`` says how they were read
    where that is worth a word, ``estimated`` that the gateway estimated them. ``metadata`` are its further
    facts, and ``facets`` those of them that records can be filtered by. ``error_note`` says what of the
    error's message was not kept. ``token_url`` is the token's page, over the time around the call;
    ``limits_url`` the same where a rate limit refused it. ``playground_url`` and ``reference_url`` are where
    the operator leads from a failure; empty where that is not configured, or nothing failed.
    """

    verdict: Verdict | None
    receipt: Receipt
    content: ContentShown
    attempts: list[Attempt]
    related: list[UsageRecord]
    net: Decimal
    note: str
    counted: list[tuple[str, str]]
    how_counted: str
    estimated: StrPromise | str
    metadata: JSONObject
    facets: Sequence[FacetLink] = ()
    asked_for: str = ""
    answered_by: str = ""
    """The model that was asked for, and the other one that answered; empty where it was the same."""
    error_note: StrPromise | None = None
    playground_url: str = ""
    reference_url: str = ""
    token_url: str = ""
    limits_url: str = ""
    ordered: str = ""
    """What was ordered, in words, where that is counted in no tokens."""


def of_one(scope: Scope, record_id: UUID, *, is_asked: bool = False) -> tuple[UsageRecord, Details]:
    """Return one of the scope's records, and its details. Raises Http404 for another's as for none."""
    found = one(scope, record_id)
    return found, of(scope, [found], is_asked=is_asked)[found.id]


def one(scope: Scope, record_id: UUID) -> UsageRecord:
    """Return one of the scope's records. Raises Http404 for another's as for none."""
    records: UsageRecordQuerySet[UsageRecord] = UsageRecord.objects.visible_to(scope)
    if scope.is_of_few:
        records = records.filter(id=record_id)
    else:
        try:
            records = records.by_id(record_id)
        except OverflowError:  # of no time that the calendar knows
            raise Http404 from None
    return get_object_or_404(records.select_related("model", "gateway", *CALLED))


def of(
    scope: Scope, records: Sequence[UsageRecord], *, is_asked: bool = False, content: bool = True
) -> dict[UUID, Details]:
    """Return the details of the scope's records, by id, in a few queries. Their models are loaded.

    ``is_asked``: another's content was asked for, and the audit log says so. ``content`` False: none is read,
    and what the details say of it holds for nobody.
    """
    book = PriceBook({record.model_id for record in records}, {record.group_id for record in records})
    kept = [record for record in records if content and (record.content or Level.OFF) != Level.OFF]
    loaded: dict[UUID, Content | None] = {}
    readings = {owner: reading_of(scope, owner) for owner in {record.user_id for record in kept}}
    for owner, reading in readings.items():
        if reading is Reading.OPEN or (is_asked and reading is Reading.ASKED):
            loaded |= contents.load(owner, [record.pk for record in kept if record.user_id == owner])
            readings[owner] = Reading.OPEN
    others = _of_same_work(scope, records)
    orders = _orders(scope, records)
    found = {}
    for record in records:
        verdict = verdict_on(record)
        related = [
            other
            for other in others
            if other.pk != record.pk
            and (
                other.request_id == record.request_id or (record.task_id and other.task_id == record.task_id)
            )
        ][:_MOST_RELATED]
        found[record.id] = Details(
            verdict=verdict,
            receipt=receipt(record, book),
            content=shown(record, loaded, readings.get(record.user_id, Reading.OPEN), scope),
            attempts=timeline(record.attempts),
            related=related,
            net=sum((one.cost for one in (record, *related) if one.cost is not None), Decimal(0)),
            note=note(record, verdict, orders[record.id]),
            counted=tokens.counted(record),
            how_counted=tokens.how_read(record),
            estimated=tokens.ESTIMATED if record.usage_estimated else "",
            metadata={key: value for key, value in (record.metadata or {}).items() if key not in _SAID},
            facets=_facets(scope, record),
            asked_for=str((record.metadata or {}).get(ASKED_FOR, "")),
            answered_by=str((record.metadata or {}).get(ANSWERED_BY, "")),
            error_note=_HIDDEN if scope.is_without_content else error_texts.note(record.error_message),
            token_url=(page := _token_url(scope, record)),
            limits_url=page if record.cause == Cause.RATE_LIMIT or record.http_status == _TOO_MANY else "",
            ordered=orders[record.id],
            playground_url=_filled(settings.PLAYGROUND_URL, record) if verdict else "",
            reference_url=_filled(settings.API_REFERENCE_URL, record) if verdict else "",
        )
    return found


def _facets(scope: Scope, record: UsageRecord) -> list[FacetLink]:
    """Return the ways to records with the same tag, or the same value of metadata, of the last 30 days."""
    found = []
    page = reverse("usage")
    recent = timezone.now() - record.created_at < _RECENT
    within = Address({OF: [scope.of] if scope.of else []}).over(Preset.MONTH if recent else Preset.ALL)
    for key, value in facets_of(record.metadata):
        if value and key == SESSION:
            found.append(FacetLink(_("Session"), value, within.with_(session=value).of(page)))
        elif value:
            chosen = {"tag": value} if key == TAGS else {"meta": f"{key}={value}"}
            found.append(FacetLink("" if key == TAGS else key, value, within.with_(**chosen).of(page)))
    return found


def _token_url(scope: Scope, record: UsageRecord) -> str:
    """Return the page of the record's token, over the hour around it."""
    token = cast("ApiToken | None", record.token)
    if token is None:
        return ""
    minute = floor(record.created_at, MINUTE)
    around = Address({"token": [token.called]}).between(minute - _AROUND, minute + _AROUND)
    if scope.of:
        around = around.with_(of=scope.of, person=str(record.user_id) if scope.is_of_several else "")
    return around.of(reverse("usage-limits"))


def _orders(scope: Scope, records: Sequence[UsageRecord]) -> dict[UUID, str]:
    """Return what each record ordered that is counted in no tokens; what it does not say, its task does."""
    bare = [one for one in records if one.is_request and not one.input_tokens and not one.output_tokens]
    found = {one.id: ordered(one.image_count, one.quantities, one.lines) for one in bare}
    told = work_done.described(scope, {one.task_id for one in bare if one.task_id and not found[one.id]})
    return {one.id: found.get(one.id) or told.get(one.task_id or "", "") for one in records}


def _filled(link: str, record: UsageRecord) -> str:
    model = cast("AIModel | None", record.model)
    return links.filled(
        link,
        model=model.name if model else "",
        endpoint=record.endpoint or "",
        request_id=record.request_id,
        platform=record.provider or "",
    )


def _of_same_work(scope: Scope, records: Sequence[UsageRecord]) -> list[UsageRecord]:
    if not records:
        return []
    same = Q(request_id__in={record.request_id for record in records})
    if tasks := {record.task_id for record in records if record.task_id}:
        same |= Q(task_id__in=tasks)
    return list(UsageRecord.objects.visible_to(scope).filter(same).order_by("id")[:_MOST_READ])
