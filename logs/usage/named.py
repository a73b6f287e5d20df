"""The way from a name that records have in common to these records."""

from __future__ import annotations

from collections.abc import Mapping

from logs.selection.chosen import NONE
from routescope.filters.address import Address


def narrowed(address: Address, kind: str, value: int, names: Mapping[int, str]) -> Address | None:
    """Return the address with the records of one token, model or group (``kind``), by its id, 0 for those
    without one. None where no filter can name it.
    """
    if value in names:
        return address.without_value("without", kind).with_(**{kind: names[value]})
    if value == NONE:
        return address.without(kind).with_value("without", kind)
    return None
