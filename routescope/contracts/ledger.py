"""The ledger as other apps see it: what was charged for a piece of work, and giving it back.

Async tasks and usage records do not know each other's models. The app that keeps the records registers itself
here when it starts; whoever follows work to its end asks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work that may have been charged: whose it is, and the IDs it goes by. An empty ID is
    none.
    """

    user_id: int
    gateway_id: int
    request_id: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged for a piece of work, in USD.

    ``record_id`` is the record that charged it. ``charged`` None: no price is known. ``given_back`` is what
    refunds and negative adjustments have returned already, as a positive amount.
    """

    record_id: UUID
    charged: Decimal | None
    given_back: Decimal


class Ledger(Protocol):
    def charge_for(self, work: Work) -> Charge | None:
        """Return what was charged for the work; None while no record of it has arrived."""

    def refund(self, charge: UUID, amount: Decimal, *, at: datetime, task_id: str, reason: str) -> UUID:
        """Give ``amount`` USD (positive) of a charge back, in the caller's transaction; return the
        refund's id.

        The same charge, time and task make the same refund: twice is once. Raises LookupError if there is
        no such charge, ValueError if the record cannot be kept.
        """


_registered: list[Ledger] = []


def register(ledger: Ledger) -> None:
    """Make ``ledger`` the one that everybody asks."""
    _registered[:] = [ledger]


def current() -> Ledger:
    """Return the registered ledger. Raises LookupError if the app that keeps it is not installed."""
    if not _registered:
        raise LookupError("No ledger is registered.")
    return _registered[0]
