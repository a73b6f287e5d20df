"""What pays for the demo user's calls: a subscription, a wallet and a package, by the token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from routescope.demo.cast import NIGHTLY_JOBS, PRODUCTION, STOREFRONT
from routescope.demo.records import RecordSent


@dataclass(frozen=True, slots=True)
class _Source:
    """It is filled up to ``full`` USD at each full hour, so that an hour is the same whenever it is made, and
    by as much again where it would not do.
    """

    name: str
    full: Decimal


_SOURCES = {
    (STOREFRONT.user, STOREFRONT.name): _Source("subscription", Decimal(20)),
    (PRODUCTION.user, PRODUCTION.name): _Source("wallet", Decimal(50)),
    (NIGHTLY_JOBS.user, NIGHTLY_JOBS.name): _Source("package", Decimal(10)),
}


def tell(events: Iterable[RecordSent]) -> None:
    """Say of an hour's charged calls, in order of their time, what paid and what was left of it."""
    left = {place: source.full for place, source in _SOURCES.items()}
    for event in events:
        place = event.user, event.token
        if (source := _SOURCES.get(place)) is None or not event.cost or event.billing is None:
            continue
        cost, before = Decimal(event.cost), left[place]
        while before < cost:
            before += source.full
        left[place] = before - cost
        event.billing = {
            **event.billing,
            "funding_source": source.name,
            "balance_before": f"{before.normalize():f}",
            "balance_after": f"{left[place].normalize():f}",
        }
