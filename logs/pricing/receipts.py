"""The receipt of one record: lines that add up exactly to the charge, and what the catalogue says beside it.

Made from stored facts: what the gateway sent (``billing``), or what was priced here when the record arrived.
A later price never changes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from typing import cast

from django.utils.translation import gettext as _

from accounts.models import AIModel
from logs.models import REQUEST_TYPES, RecordType, UsageRecord
from logs.pricing import facts
from logs.pricing.charges import WIDE, ChargeLine
from logs.pricing.consumed import Consumed
from logs.pricing.differences import differences
from logs.pricing.facts import Facts
from logs.pricing.funding import NOT_TOLD, Funding, funding_of
from logs.pricing.quotes import PriceBook, Quote, is_priced_here
from logs.pricing.sellers import How
from logs.pricing.suppositions import Difference
from logs.pricing.unpriced import Unpriced, Why

_NOISE = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Receipt:
    """``total`` is the charge in USD, the exact sum of the lines; None for a record without a known price.

    ``by_catalogue`` is the catalogue's price of the same usage, where it has one, or one for a part of it;
    the amounts of ``differences`` add up to ``total - by_catalogue.total``. ``unpriced`` says why there is
    none. ``is_estimate``: the gateway did not say what it charged. ``funding`` is what paid, as the gateway
    told it.
    """

    lines: tuple[ChargeLine, ...]
    total: Decimal | None
    ratio: Decimal | None
    source: str
    version: str
    valid_from: datetime | None
    by_catalogue: Quote | None
    differences: tuple[Difference, ...]
    model: str
    is_estimate: bool = False
    unpriced: Unpriced | None = None
    is_refused: bool = False
    funding: Funding = NOT_TOLD

    @property
    def source_label(self) -> str:
        words = {
            "catalogue": _("Base catalogue"),
            "own": _("This installation's own prices"),
            "gateway": _("Sent by the gateway"),
            "none": _("Charge sent by the gateway, not itemised"),
        }
        return words.get(self.source) or _("Sent by the gateway (%(source)s)") % {"source": self.source}

    @property
    def total_label(self) -> str:
        """What the total is: a charge, or an estimate of one."""
        return total_label(self.source, self.is_estimate)

    @property
    def is_not_charged(self) -> bool:
        """Whether a refused call cost nothing, as refused calls do."""
        return self.is_refused and self.total is not None and not self.total

    @property
    def is_partly_unpriced(self) -> bool:
        """Whether there is a price for a part of what was used, and none for the rest."""
        return self.total is None and self.by_catalogue is not None and not self.by_catalogue.is_whole

    @property
    def why_unpriced(self) -> list[str]:
        """Why there is no price, or what has none, in sentences; empty where all has one."""
        if self.unpriced is not None:
            return [self.unpriced.sentence]
        return [one.sentence for one in self.by_catalogue.missing] if self.by_catalogue else []

    @property
    def seller_note(self) -> str:
        """Whose price it is, where the gateway did not name the provider."""
        quote = self.by_catalogue
        if quote is None or not quote.seller or quote.how in (None, How.NAMED):
            return ""
        words = {"seller": quote.seller}
        if quote.how is How.MAKER:
            return _("No provider was named: this is the price of %(seller)s, who makes the model.") % words
        return _("No provider was named: of those in the catalogue, only %(seller)s sells the model.") % words

    @property
    def difference(self) -> Decimal | None:
        """What the charge is above the catalogue's price; None where there is nothing to compare."""
        if self.total is None or self.by_catalogue is None:
            return None
        return self.total - self.by_catalogue.total

    @property
    def is_unknown_model(self) -> bool:
        return self.by_catalogue is None


def total_label(source: str, is_estimate: bool) -> str:
    """Say what a cost is: a charge, or an estimate by whose prices."""
    if not is_estimate:
        return _("Charged")
    if source == "own":
        return _("Estimated from this installation's own prices")
    return _("Estimated from the catalogue")


def receipt(record: UsageRecord, book: PriceBook) -> Receipt:
    """Return a record's receipt. The record's model must be loaded, and ``book`` hold its model and group."""
    # What a gateway made up may need more digits than the default context's 28, and lines must add up.
    with localcontext(WIDE):
        return _receipt(record, book)


def _receipt(record: UsageRecord, book: PriceBook) -> Receipt:
    model = cast("AIModel | None", record.model)
    if record.type not in REQUEST_TYPES:
        return _plain(record, model.name if model else "")
    used = Consumed.of_record(record)
    priced = book.quote(used) if used.model else Unpriced(Why.NO_MODEL, "")
    quote = priced if isinstance(priced, Quote) else None
    is_estimate = is_priced_here(record.billing)
    known = facts.read(record) if record.cost is not None or not is_estimate else None
    found = (
        differences(record, known, quote, book, used) if quote is not None and record.cost is not None else []
    )
    lines = tuple(_settled(_lines(known, quote, record.cost), record.cost)) if record.cost is not None else ()
    if known is not None:
        source = known.source if is_estimate else known.source or "gateway"
        ratio, version, valid_from = known.ratio, known.version, known.valid_from
    else:
        source, version, valid_from = "none", "", None
        ratio = quote.ratio if quote and lines else None
    return Receipt(
        lines,
        record.cost,
        ratio,
        source,
        version,
        valid_from,
        quote,
        tuple(found),
        model.name if model else "",
        is_estimate,
        priced if isinstance(priced, Unpriced) else None,
        not used.succeeded,
        funding_of(record.billing),
    )


def _plain(record: UsageRecord, model: str) -> Receipt:
    item = "refund" if record.type == RecordType.REFUND else "adjustment"
    lines = (ChargeLine(item, record.cost),) if record.cost is not None else ()
    paid_from = funding_of(record.billing)
    return Receipt(lines, record.cost, None, "gateway", "", None, None, (), model, funding=paid_from)


def _lines(known: Facts | None, quote: Quote | None, cost: Decimal) -> Iterable[ChargeLine]:
    if known is not None:
        yield from known.lines
    elif quote is not None and cost:
        yield from quote.lines
        if quote.rounding:
            yield ChargeLine("rounding", quote.rounding)
        if cost != quote.total and abs(cost - quote.total) >= _NOISE:
            yield ChargeLine("beside", cost - quote.total)
    elif cost:
        yield ChargeLine("whole", cost)


def _settled(lines: Iterable[ChargeLine], cost: Decimal) -> Iterable[ChargeLine]:
    """Yield the lines and, where they do not add up to the charge, one that says why."""
    rest = cost
    for line in lines:
        rest -= line.amount
        yield line
    if rest:
        yield ChargeLine("rounding" if abs(rest) < _NOISE else "other", rest)


def repriced(record: UsageRecord, model: str, group_id: int | None, at: datetime) -> Quote | Unpriced:
    """Return what the record's usage would have cost as another model, in another group, at another time."""
    named = AIModel.objects.filter(name=model).first()
    own = cast("AIModel | None", record.model)
    used = Consumed.of(
        record,
        model_id=named.pk if named else None,
        model=model,
        group_id=group_id,
        at=at,
    )
    if own is None or own.name != model:
        # The provider is the recorded model's; another model is looked for at any.
        used = replace(used, provider=None)
    return PriceBook([used.model_id], [group_id]).quote(used)
