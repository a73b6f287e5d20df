"""What the read API says about the charge of one record."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

from logs.pricing.receipts import Receipt
from routescope.rest.answers import Money, Ratio
from routescope.text.formatting import plain


class ReceiptLineBody(msgspec.Struct, frozen=True):
    """quantity x unit_price / per x the receipt's ratio is amount; money alone has only an amount."""

    item: str
    quantity: Ratio | None
    unit_price: Money | None
    per: int
    amount: Money


class DifferenceBody(msgspec.Struct, frozen=True):
    """One cause of the difference between the charge and the catalogue's price."""

    cause: str
    explanation: str
    amount: Money


class ReceiptBody(msgspec.Struct, frozen=True):
    """How the charge came about. Its lines add up to total exactly."""

    total: Money | None
    ratio: Ratio | None
    source: str
    version: str
    lines: list[ReceiptLineBody]
    catalogue_total: Annotated[
        Money | None,
        msgspec.Meta(
            description="The catalogue's price; of what has one, where `unpriced` says what has none."
        ),
    ]
    differences: list[DifferenceBody]
    is_estimate: bool
    unpriced: Annotated[
        list[str], msgspec.Meta(description="Why there is no price, or none for all that was used.")
    ]


def receipt_body(receipt: Receipt) -> ReceiptBody:
    """Return a receipt as it is shown."""
    return ReceiptBody(
        total=_number(receipt.total),
        ratio=_number(receipt.ratio),
        source=receipt.source,
        version=receipt.version,
        lines=[
            ReceiptLineBody(
                line.item, _number(line.quantity), _number(line.unit_price), line.per, plain(line.amount)
            )
            for line in receipt.lines
        ],
        catalogue_total=_number(receipt.by_catalogue.total if receipt.by_catalogue else None),
        differences=[
            DifferenceBody(one.cause, str(one.sentence), plain(one.amount)) for one in receipt.differences
        ],
        is_estimate=receipt.is_estimate,
        unpriced=receipt.why_unpriced,
    )


def _number(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
