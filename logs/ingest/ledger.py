"""The ledger that other apps ask (`routescope.contracts.ledger`), kept in usage records."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from accounts.identities.resolving import ResolvedNames
from accounts.models import User
from logs.ingest import batches
from logs.models import RecordType, UsageRecord
from logs.models.events import UsageEvent
from routescope.contracts.ledger import Charge, Work
from routescope.data.ids import derived_id

_CHARGING = (RecordType.TASK, RecordType.REQUEST)
_MOST_RECORDS = 100
"""Records of one piece of work: its submission, retries, refunds. More share an ID by mistake."""


class UsageLedger:
    """See ``routescope.contracts.ledger.Ledger``."""

    def charge_for(self, work: Work) -> Charge | None:
        # A charge may have come before the user was merged, and its refund after.
        ids = User.objects.get(pk=User.objects.get(pk=work.user_id).canonical_id).ids
        named = Q()
        if work.request_id:
            named |= Q(request_id=work.request_id, user_id__in=ids)
        if work.task_id:
            named |= Q(task_id=work.task_id)
        if not named:
            return None
        found = UsageRecord.objects.filter(named, gateway_id=work.gateway_id)
        records = list(found.order_by("id")[:_MOST_RECORDS])
        charged = {record.user_id for record in records if record.type in _CHARGING}
        # The gateway's name for the user may lead elsewhere by now: the task is the same. Not so where
        # several people's records carry its ID.
        if len(charged - set(ids)) > (0 if charged & set(ids) else 1):
            records = [record for record in records if record.user_id in ids]
        charging = [record for record in records if record.type in _CHARGING]
        if not charging:
            return None
        costs = [record.cost for record in charging if record.cost is not None]
        returned = [
            -record.cost
            for record in records
            if record.type not in _CHARGING and record.cost is not None and record.cost < 0
        ]
        # A submission that was retried has several records; the refund is tied to the one that cost most.
        main = max(charging, key=lambda record: record.cost if record.cost is not None else Decimal(-1))
        return Charge(main.id, sum(costs, Decimal()) if costs else None, sum(returned, Decimal()))

    def refund(self, charge: UUID, amount: Decimal, *, at: datetime, task_id: str, reason: str) -> UUID:
        if amount <= 0:
            raise ValueError(f"A refund gives a positive amount back, not {amount}.")
        record = UsageRecord.objects.by_id(charge).first()
        if record is None:
            raise LookupError(f"There is no charge {charge}.")
        event = UsageEvent(
            request_id=record.request_id,
            created_at=at,
            type=RecordType.REFUND,
            user="user",
            token="token" if record.token_id is not None else "",
            model="model" if record.model_id is not None else "",
            group="group" if record.group_id is not None else "",
            cost=-amount,
            billing={"refund_of": str(record.id), "reason": reason},
            provider=record.provider,
            endpoint=record.endpoint,
            task_id=task_id or record.task_id,
        )
        # Of the same user, token, model and group as the charge, whatever the gateway's names lead to by
        # now: only then does it net out under every filter.
        names = ResolvedNames(
            users={"user": record.user_id},
            tokens={(record.user_id, "token"): record.token_id} if record.token_id is not None else {},
            groups={"group": record.group_id} if record.group_id is not None else {},
            models={"model": record.model_id} if record.model_id is not None else {},
        )
        batches.store_named(record.gateway_id, names, [event])
        return derived_id(at, record.gateway_id, record.request_id, RecordType.REFUND)
