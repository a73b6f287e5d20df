"""What paid for a call, and what that held before and after: one rule for every format.

A word for the source, kept as the gateway says it; amounts in USD, exact, as decimal text. An odd value costs
itself and nothing else: it is left out, and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from logs.ingest.formats import tolerant
from logs.ingest.formats.newapi_other import Other
from logs.models.events import BALANCE_AFTER, BALANCE_BEFORE, FUNDING_SOURCE, MOST_OF_A_SOURCE, JSONObject
from routescope.text.identifiers import shown
from routescope.wire.json_parts import BrokenError, Steps, members
from routescope.wire.reading import RecordError, amount

_NAMES = _SOURCE, _BEFORE, _AFTER = tuple(
    name.encode() for name in (FUNDING_SOURCE, BALANCE_BEFORE, BALANCE_AFTER)
)


class _Sent(msgspec.Struct):
    funding_source: str | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None


def parted(billing: bytes) -> tuple[bytes, JSONObject, list[str]]:
    """Part a native record's billing, as it came: the rest of it, the funding as it is kept, and the names of
    what of that is left out.

    Parted before anything is built of it, so that an amount keeps its digits, and one that is beyond all
    bounds costs no more than itself.
    """
    # Asked of every record.
    if _SOURCE not in billing and _BEFORE not in billing and _AFTER not in billing:
        return billing, {}, []
    try:
        sides: tuple[list[bytes], list[bytes]] = [], []
        for name, value in members(billing.strip(), Steps()):
            sides[name in _NAMES].append(b'"%b":%b' % (name, value))
        sent, unread = tolerant.decode(b"{%b}" % b",".join(sides[True]), _Sent)
    except BrokenError:
        return billing, {}, []
    balances = {BALANCE_BEFORE: sent.balance_before, BALANCE_AFTER: sent.balance_after}
    found, odd = _kept(sent.funding_source, balances)
    return b"{%b}" % b",".join(sides[False]), found, [f"billing.{name}" for name in (*unread, *odd)]


def of_new_api(other: Other, quota_per_usd: Decimal) -> tuple[JSONObject, list[str]]:
    """Return the same of a row of new-api, whose subscriptions tell what they hold, in quota.

    Source: service/log_info_generate.go. What a subscription without a bound or a wallet holds is not told.
    """
    left, used, total = other.subscription_remain, other.subscription_used, other.subscription_total
    balances: dict[str, Decimal | None] = {}
    if left is not None:
        balances[BALANCE_AFTER] = Decimal(left) / quota_per_usd
    if total is not None and used is not None:
        # What is left is told as no less than nothing: what was there before does not follow from it. A call
        # that consumed nothing says nothing of that.
        before = max(total - max(used - (other.subscription_consumed or 0), 0), 0)
        balances[BALANCE_BEFORE] = Decimal(before) / quota_per_usd
    found, odd = _kept(other.billing_source, balances)
    return found, [f"other.{name}" for name in odd]


def _kept(source: str | None, balances: Mapping[str, Decimal | None]) -> tuple[JSONObject, list[str]]:
    found: JSONObject = {}
    odd: list[str] = []
    if source and (word := shown(source)):
        if len(word) <= MOST_OF_A_SOURCE:
            found[FUNDING_SOURCE] = word
        else:
            odd.append(FUNDING_SOURCE)
    for name in (BALANCE_BEFORE, BALANCE_AFTER):
        try:
            if (usd := amount(balances.get(name))) is not None:
                found[name] = f"{usd.normalize():f}" if usd else "0"
        except RecordError:
            odd.append(name)
    return found, odd
