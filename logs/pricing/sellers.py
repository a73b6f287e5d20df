"""Who sells a model: the provider that a call names, that the model's name tells, or the only one there is.

A gateway may name the provider in its own way, in front of the model's name, or not at all. Where nobody
says which of several providers with different prices it was, that is not guessed, but for the model's maker.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from logs.pricing import base, overlay
from logs.pricing.base import Known
from logs.pricing.kinds import DELIVERED


class How(enum.Enum):
    """How it is known who sold it."""

    NAMED = "named"
    MAKER = "maker"
    ONLY = "only"


class WhyNot(enum.Enum):
    """Why a model has no seller."""

    UNKNOWN = "unknown_model"
    NOT_THERE = "not_sold_there"
    SEVERAL = "several_sellers"


@dataclass(frozen=True, slots=True)
class Sold:
    """A model as one provider sells it. ``names`` are those that the overlay may have for it."""

    provider: str
    how: How
    names: tuple[str, ...]
    known: Known | None

    @property
    def model(self) -> str:
        """The model's name in the catalogue."""
        return self.known.info.id if self.known else self.names[-1]

    @property
    def seller(self) -> str:
        """The provider's name, for people."""
        return name_of(self.provider)


@dataclass(frozen=True, slots=True)
class NotFound:
    """``sellers`` are the providers among which it could not be told, or the one that does not sell it."""

    why: WhyNot
    sellers: tuple[str, ...] = ()


_COMPATIBLE = frozenset(("openai", "litellm"))
"""What clients say of any server that speaks this protocol."""
_SHAPES = (
    # Model IDs and inference profiles of Amazon Bedrock, whichever the region.
    (
        re.compile(
            r"(?:arn:aws|(?:us-gov|us|eu|apac|ap|au|jp|ca|in|sa|me|af|global)\."
            r"|(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer|stability|twelvelabs"
            r"|moonshotai|moonshot|zai|minimax|nvidia|google|luma)\.)"
        ),
        "aws",
    ),
    (re.compile(r"accounts/fireworks/"), "fireworks"),
    (re.compile(r"@cf/"), "cloudflare"),
    (re.compile(r"databricks-"), "databricks"),
    (re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?publishers/"), "google"),
    (re.compile(r"(?:models|tunedmodels)/"), "google"),
    (re.compile(r"\A[a-z0-9.-]+@20\d{6}$"), "google"),
)
_DATE = re.compile(r"[-@](?:20\d{2}-?[01]\d-?[0-3]\d)$")


@lru_cache(maxsize=8192)
def find(model: str, provider: str | None) -> Sold | NotFound:
    """Find who sells a model, as its gateway names the two."""
    name = model.strip().lower()
    said = provider_id(provider) if provider else None
    if said and (sold := _at(said, name, How.NAMED)):
        return sold
    shape = next((seller for pattern, seller in _SHAPES if pattern.match(name)), None)
    if shape and not (said and _is_relay(said)):
        return _at(shape, name, How.NAMED) or NotFound(WhyNot.NOT_THERE, (name_of(shape),))
    if said and said not in _COMPATIBLE:
        # What stands in front of the name is then how this provider calls it.
        return NotFound(WhyNot.NOT_THERE, (name_of(said),))
    prefix, _, rest = name.partition("/")
    if rest and (told := provider_id(prefix)) and told not in (said, None):
        # What stands in front may be the maker's name alone, as a reseller's list has it.
        how = How.MAKER if _is_maker_of(told, rest) else How.NAMED
        if sold := _at(told, rest, how) or _at(told, name, how):
            return sold
        if told not in _COMPATIBLE and not _is_maker_of(told, rest):
            return NotFound(WhyNot.NOT_THERE, (name_of(told),))
    return _of_anybody(name)


@lru_cache(maxsize=4096)
def provider_id(name: str) -> str | None:
    """Return the provider that a gateway's word stands for; None for a word that nobody is known by."""
    return _aliases().get(_letters(name)) or base.provider_like(name)


def name_of(provider: str) -> str:
    """Return a provider's name, for people."""
    file = overlay.providers().get(provider)
    return (file.name if file else "") or base.provider_name(provider) or provider


@cache
def _aliases() -> dict[str, str]:
    found = {_letters(one): one for one in base.provider_ids()}
    for one in overlay.providers().values():
        for name in (one.id, *one.names):
            found[_letters(name)] = one.id
    return found


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _at(provider: str, name: str, how: How) -> Sold | None:
    """Return a model as a provider sells it, by its name or a simpler form of it."""
    for form in _forms(name):
        if sold := _exactly_at(provider, form, how):
            return sold
    return None


def _forms(name: str) -> Iterator[str]:
    """Yield a name and what may be left out of it: a date, "latest", what stands in front of it."""
    for whole in dict.fromkeys((name, name.partition("/")[2], name.rpartition("/")[2])):
        if whole:
            yield whole
            yield from {_DATE.sub("", whole), whole.removesuffix("-latest")} - {whole}


def _exactly_at(provider: str, name: str, how: How) -> Sold | None:
    known = base.model_at(provider, name)
    names = (name, known.info.id.lower()) if known else (name,)
    file = overlay.providers().get(provider)
    if file and overlay.of_model(file.not_sold, names):
        return None
    if not (known and base.has_prices(known)) and not _is_listed(provider, names):
        return None
    return Sold(provider, how, names, known)


def _is_listed(provider: str, names: tuple[str, ...]) -> bool:
    """Whether the overlay has a price of what a model is sold by, and not of a tool beside alone."""
    kinds = {kind for one in overlay.listed(provider, names) for kind in one.rates}
    return bool(kinds & (DELIVERED | {"input"}))


def _is_relay(provider: str) -> bool:
    file = overlay.providers().get(provider)
    return file is not None and file.is_relay


def _is_maker_of(provider: str, name: str) -> bool:
    file = overlay.providers().get(provider)
    return file is not None and overlay.is_one_of(name, file.makes)


def _of_anybody(name: str) -> Sold | NotFound:
    """Find the model at whoever sells it, its maker first. Relays sell on, at prices of their own."""
    names = dict.fromkeys((name, name.rpartition("/")[2]))
    if not any(base.words().may_be(form) or overlay.words().may_be(form) for form in _forms(name)):
        return NotFound(WhyNot.UNKNOWN)
    sellers = dict.fromkeys((*base.provider_ids(), *overlay.providers()))
    found = [
        sold
        for seller in sellers
        if not _is_relay(seller)
        and (sold := next(filter(None, (_at(seller, one, How.ONLY) for one in names)), None))
        and (sold.known is None or sold.known.is_own)
    ]
    makers = [
        Sold(sold.provider, How.MAKER if len(found) > 1 else How.ONLY, sold.names, sold.known)
        for sold in found
        if any(_is_maker_of(sold.provider, one) for one in (*names, *sold.names))
    ]
    pool = makers or found
    if not pool:
        return NotFound(WhyNot.UNKNOWN)
    if all(_sells_alike(pool[0], other) for other in pool[1:]):
        return pool[0]
    return NotFound(WhyNot.SEVERAL, tuple(sorted(sold.seller for sold in pool)))


def _sells_alike(one: Sold, other: Sold) -> bool:
    if one.known is None or other.known is None:
        return False
    return one.known.info.prices == other.known.info.prices and not (
        overlay.listed(one.provider, one.names) or overlay.listed(other.provider, other.names)
    )
