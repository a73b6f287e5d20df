"""Why nothing is there: reasons in the order of how sure they are, each with what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _

from routescope.data.partitions import Month
from routescope.filters.address import Address


@dataclass(frozen=True, slots=True)
class Action:
    """What mends it: ``query`` in this tab, or else the ``url`` of another page."""

    label: str
    query: Address | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing is there. ``kind`` names it; ``sure`` is false for what only may be the reason."""

    kind: str
    text: str
    actions: tuple[Action, ...] = ()
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    title: str
    lead: str
    reasons: list[Reason]


def oldest_kept(now: datetime) -> datetime:
    """Return the time before which records are deleted."""
    return Month.of(now).plus(-settings.RECORD_RETENTION_MONTHS).start


def another_account() -> Reason:
    return Reason(
        "account",
        _(
            "It may belong to another account. Only calls made with your own tokens are listed here: check"
            " which token the call was made with."
        ),
        sure=False,
    )


def just_now(query: Address) -> Reason:
    return Reason(
        "recent",
        _("It may not have arrived yet: the gateway sends a record a few seconds after the call ends."),
        (Action(_("Search again"), query),),
        sure=False,
    )
