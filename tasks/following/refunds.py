"""Giving back what was charged for a task that ended without a result."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from routescope.contracts import ledger
from routescope.contracts.ledger import Work
from tasks.models import AsyncTask, EventKind, EventReason, TaskEvent, TaskStatus

logger = logging.getLogger(__name__)

WAIT_FOR_CHARGE = timedelta(days=7)
"""How long after a task's end its charge may still arrive from the gateway."""


def settle(task: AsyncTask, at: datetime | None = None) -> bool:
    """Refund a locked task that is due one, if its charge is known; the caller saves the task and commits.

    The timeline's entry is of ``at``, when the task's end was told to have been; None: of now.

    Nothing is refunded twice: the task's own flag, the refund's derived id, and what the ledger says has been
    given back already (by the gateway itself, for example) each prevent it. Returns whether it is done with.
    """
    if not task.refund_due or task.finished_at is None:
        return True
    book = ledger.current()
    charge = book.charge_for(
        Work(
            user_id=task.user_id,
            gateway_id=task.gateway_id,
            request_id=task.request_id,
            task_id=task.task_id,
        )
    )
    if charge is None or charge.charged is None:
        return False
    task.charge_record_id = charge.record_id
    task.refund_due = False
    remaining = charge.charged - charge.given_back
    if remaining <= 0:
        task.refund = charge.given_back or None
        why = EventReason.GATEWAY_GAVE_BACK if charge.given_back else EventReason.NOTHING_CHARGED
    else:
        reason = f"task {TaskStatus(task.status)}"
        task.refund_record_id = book.refund(
            charge.record_id, remaining, at=task.finished_at, task_id=task.task_id, reason=reason
        )
        task.refund = remaining + max(charge.given_back, Decimal())
        why = EventReason.GIVEN_BACK
    _note(task, why, f"{task.refund:f}" if task.refund else "", at)
    return True


def settle_waiting(limit: int = 10_000) -> tuple[int, int]:
    """Refund tasks whose charge has arrived since they ended. Returns how many were settled and given up.

    A charge that has not come after ``WAIT_FOR_CHARGE`` never will: the task's timeline then says so.
    """
    now = timezone.now()
    waiting = AsyncTask.objects.filter(refund_due=True).order_by("finished_at").values_list("pk", flat=True)
    settled = given_up = 0
    for pk in list(waiting[:limit]):
        try:
            done = _settle_one(pk, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # One odd task never keeps the others from their money.
            logger.exception("The refund of the task %s could not be settled", pk)
            continue
        settled += done is True
        given_up += done is False
    if given_up:
        logger.warning("%s failed tasks have no charge to give back", given_up)
    return settled, given_up


def _settle_one(pk: UUID, now: datetime) -> bool | None:
    """Refund one task; True if that is done, False if its charge is given up, None if it waits on."""
    with transaction.atomic():
        task = (
            AsyncTask.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(pk=pk, refund_due=True)
            .first()
        )
        if task is None:
            return None
        done = settle(task)
        if not done:
            if task.finished_at is None or task.finished_at + WAIT_FOR_CHARGE >= now:
                return None
            task.refund_due = False
            _note(task, EventReason.NO_CHARGE)
        task.updated_at = now
        task.save()
        return done


def _note(task: AsyncTask, reason: EventReason, amount: str = "", at: datetime | None = None) -> None:
    said = {"kind": EventKind.REFUND, "reason": reason, "note": amount, "at": at or timezone.now()}
    TaskEvent.objects.get_or_create(task=task, key="refund", defaults=said)
