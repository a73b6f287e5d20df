"""Our own prices over the base catalogue: what it does not know, each with the provider's page and its date.

They stand in ``providers/*.toml``, a file for each provider, to be read by operators; how they are written
is told in ``providers/README.md``. All of it is checked when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec
from django.core.checks import CheckMessage, Error

from logs.pricing.base import Words
from logs.pricing.kinds import PIECES, TOKENS, usual_per
from logs.pricing.rates import Rate

FOLDER = Path(__file__).parent / "providers"
KINDS = TOKENS | frozenset(PIECES) | {"per_call"}
_HOURS = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)


class OverlayError(ValueError):
    """A file of prices that cannot be what was meant; says which and why."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``models`` are names as the provider's API has them, with ``*`` for any ending or beginning. ``source``
    is the provider's page, ``read`` the day of what it said, ``start`` and ``until`` when it held (UTC).
    """

    models: tuple[str, ...]
    source: str
    read: date
    start: str | None = msgspec.field(default=None, name="from")
    until: str | None = None

    @property
    def begins(self) -> datetime | None:
        return _moment(self.start)

    @property
    def ends(self) -> datetime | None:
        return _moment(self.until)


class PriceEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices in USD by kind: of a service tier, at hours of the day (UTC), for values of parameters."""

    usd: dict[str, str]
    tier: str = ""
    hours: tuple[str, ...] = ()
    workdays: bool = False
    holidays: tuple[date, ...] = ()
    when: dict[str, tuple[str, ...]] = {}


class TierEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier whose prices are the plain ones ``times`` something, for some kinds; others stay as they are."""

    tier: str
    times: str
    kinds: tuple[str, ...]


class SinceEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on the prices of a tier held that the base knows only from later on."""

    tier: str


class BilledAsEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kinds that the provider bills as another kind."""

    kinds: dict[str, str]


class NotChargedEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Kinds that may be counted, and that the provider does not charge for."""

    kinds: tuple[str, ...]


class MinimumEntry(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least of a kind that a call is charged for."""

    kind: str
    quantity: str


class ProviderFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider: its other names, the models it makes, whether it only passes on what others sell."""

    id: str
    name: str = ""
    names: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    is_relay: bool = msgspec.field(default=False, name="relay")
    price: tuple[PriceEntry, ...] = ()
    tier: tuple[TierEntry, ...] = ()
    tier_since: tuple[SinceEntry, ...] = ()
    billed_as: tuple[BilledAsEntry, ...] = ()
    not_charged: tuple[NotChargedEntry, ...] = ()
    minimum: tuple[MinimumEntry, ...] = ()
    not_sold: tuple[_Entry, ...] = ()

    @property
    def entries(self) -> tuple[_Entry, ...]:
        """All entries, of whichever kind."""
        return (
            *self.price, *self.tier, *self.tier_since, *self.billed_as, *self.not_charged, *self.minimum,
            *self.not_sold,
        )  # fmt: skip


class _Names(msgspec.Struct, forbid_unknown_fields=True):
    provider: tuple[ProviderFile, ...]


@dataclass(frozen=True, slots=True)
class PriceInForce:
    """A price entry, taken apart: ``rates`` by kind, ``windows`` of the day in minutes."""

    entry: PriceEntry
    rates: Mapping[str, Rate]
    windows: tuple[tuple[int, int], ...]
    begins: datetime | None
    ends: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether the prices hold at a time (UTC)."""
        if (self.begins and at < self.begins) or (self.ends and at >= self.ends):
            return False
        if self.entry.workdays and (at.weekday() > 4 or at.date() in self.entry.holidays):
            return False
        minute = at.hour * 60 + at.minute
        return not self.windows or any(first <= minute < last for first, last in self.windows)


def check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Tell at the start what is wrong with a file: calls could not be priced by any of them."""
    try:
        load(FOLDER)
    except OverlayError as error:
        return [
            Error(
                str(error),
                hint="logs/pricing/providers/README.md says how prices are written.",
                id="logs.E001",
            )
        ]
    return []


@cache
def providers() -> Mapping[str, ProviderFile]:
    """Return all providers that have a file or a name here, by id. Raises OverlayError."""
    return load(FOLDER)


def load(folder: Path) -> dict[str, ProviderFile]:
    """Read and check the files of a folder. Raises OverlayError."""
    found: dict[str, ProviderFile] = {}
    for path in sorted(folder.glob("*.toml")):
        several = path.stem == "names"
        for one in _read(path, several):
            if one.id in found or (not several and one.id != path.stem):
                raise OverlayError(f"{path.name}: {one.id} is another file's, or there twice")
            _check(path.name, one)
            found[one.id] = one
    return found


def _read(path: Path, several: bool) -> Iterable[ProviderFile]:
    try:
        if several:
            return msgspec.toml.decode(path.read_bytes(), type=_Names).provider
        return (msgspec.toml.decode(path.read_bytes(), type=ProviderFile),)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise OverlayError(f"{path.name}: {error}") from error


@lru_cache(maxsize=16_384)
def listed(provider: str, names: tuple[str, ...]) -> tuple[PriceInForce, ...]:
    """Return the price entries of a model that a provider sells, by any of its names, in the file's order."""
    file = providers().get(provider)
    return tuple(_listed(one) for one in of_model(file.price, names)) if file else ()


_OfModels = TypeVar("_OfModels", bound=_Entry)


@cache
def words() -> Words:
    """Return the names of all models that have prices here."""
    patterns = {name for file in providers().values() for one in file.price for name in one.models}
    return Words(
        frozenset(patterns),
        tuple(one[:-1] for one in patterns if one.endswith("*")),
        tuple(one[1:] for one in patterns if one.startswith("*")),
        (),
    )


def of_model(entries: Iterable[_OfModels], names: Iterable[str]) -> list[_OfModels]:
    """Return the entries that are of a model, by any of its names (in small letters)."""
    return [one for one in entries if any(is_one_of(name, one.models) for name in names)]


def in_force(entries: Iterable[_OfModels], at: datetime) -> list[_OfModels]:
    """Return the entries that hold at a time."""
    return [
        one
        for one in entries
        if not ((one.begins and at < one.begins) or (one.ends and at >= one.ends))
    ]  # fmt: skip


def is_one_of(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name in small letters is one of some, which may begin or end with ``*``."""
    for pattern in patterns:
        if pattern == name:
            return True
        if pattern.endswith("*") and name.startswith(pattern[:-1]):
            return True
        if pattern.startswith("*") and name.endswith(pattern[1:]):
            return True
    return False


def rate_of(kind: str, text: str) -> Rate:
    """Read a price: ``3``, ``10/1000`` (for so many), ``0.4; above 256000: 1.2``. Raises OverlayError."""
    plain, *dearer = text.split(";")
    price, _, per = plain.partition("/")
    above = []
    for part in dearer:
        start, _, more = part.strip().removeprefix("above ").partition(":")
        if not start.isdecimal():
            raise OverlayError(f"{kind}: {text!r} is no price")
        above.append((int(start), _amount(kind, more)))
    if per and not per.strip().isdecimal():
        raise OverlayError(f"{kind}: {text!r} is no price")
    return Rate(_amount(kind, price), int(per) if per else usual_per(kind), tuple(sorted(above)))


def _amount(kind: str, text: str) -> Decimal:
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise OverlayError(f"{kind}: {text!r} is no amount") from None
    if not amount.is_finite() or amount < 0:
        raise OverlayError(f"{kind}: {text!r} is no amount")
    return amount


def _listed(entry: PriceEntry) -> PriceInForce:
    rates = {kind: rate_of(kind, text) for kind, text in entry.usd.items()}
    return PriceInForce(entry, rates, tuple(map(_window, entry.hours)), entry.begins, entry.ends)


def _window(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise OverlayError(f"hours: {text!r} is no HH:MM-HH:MM")
    first, minute, last, last_minute = map(int, found.groups())
    window = (first * 60 + minute, last * 60 + last_minute)
    if not window[0] < window[1] <= 24 * 60:
        raise OverlayError(f"hours: {text!r} does not end after it begins")
    return window


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else datetime.combine(moment.date(), time(0), UTC)


def _check(name: str, file: ProviderFile) -> None:
    try:
        for entry in file.entries:
            _check_entry(entry)
    except (OverlayError, ValueError) as error:
        raise OverlayError(f"{name}: {error}") from error


def _is_pattern(text: str) -> bool:
    bare = text.removeprefix("*") if text.startswith("*") else text.removesuffix("*")
    return bool(bare) and "*" not in bare and text == text.lower()


def _check_entry(entry: _Entry) -> None:
    where = ", ".join(entry.models)
    if not entry.models or any(not _is_pattern(one) for one in entry.models):
        raise OverlayError(f"models {where!r}: none, in capitals, all of them, or * in the midst of one")
    if not entry.source.startswith("https://"):
        raise OverlayError(f"{where}: the source is no address")
    if entry.begins and entry.ends and entry.begins >= entry.ends:
        raise OverlayError(f"{where}: ends before it begins")
    kinds: set[str] = set()
    if isinstance(entry, PriceEntry):
        kinds = set(entry.usd)
        _listed(entry)
        if entry.holidays and not entry.workdays:
            raise OverlayError(f"{where}: holidays without workdays")
    elif isinstance(entry, BilledAsEntry):
        kinds = set(entry.kinds) | set(entry.kinds.values())
    elif isinstance(entry, TierEntry | NotChargedEntry):
        kinds = set(entry.kinds)
        if isinstance(entry, TierEntry):
            _amount("times", entry.times)
    elif isinstance(entry, MinimumEntry):
        kinds = {entry.kind}
        _amount(entry.kind, entry.quantity)
    if unknown := kinds - KINDS:
        raise OverlayError(f"{where}: no kinds: {', '.join(sorted(unknown))}")
