"""Everything that the details of one record show beside the record itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.shortcuts import get_object_or_404

from accounts.models import User
from logs import contents
from logs.causes import Verdict, verdict_on
from logs.content_shown import ContentShown, shown
from logs.contents import Level
from logs.models import UsageRecord
from logs.pricing import PriceBook
from logs.receipts import Receipt, receipt


@dataclass(frozen=True, slots=True)
class Details:
    """``verdict`` is None for a call that succeeded."""

    verdict: Verdict | None
    receipt: Receipt
    content: ContentShown


def of_one(user: User, record_id: UUID) -> UsageRecord:
    """Return one of the person's records with its details. Raises Http404 for another's as for none."""
    records = UsageRecord.objects.visible_to(user)
    found = get_object_or_404(records.select_related("token", "model", "group", "gateway"), id=record_id)
    attach([found])
    return found


def attach(records: Sequence[UsageRecord]) -> None:
    """Give each record its ``details``. All are one user's, their models loaded; a few queries for all."""
    book = PriceBook({record.model_id for record in records}, {record.group_id for record in records})
    kept = [record for record in records if (record.content or Level.OFF) != Level.OFF]
    loaded = contents.load(kept[0].user_id, [record.pk for record in kept]) if kept else {}
    for record in records:
        record.details = Details(
            verdict=verdict_on(record), receipt=receipt(record, book), content=shown(record, loaded)
        )
