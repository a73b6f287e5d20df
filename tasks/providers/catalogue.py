"""All providers: those that come with the product, overlaid by the admin's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

from tasks.models import Provider
from tasks.providers.definition import Definition, DefinitionError, parse

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Catalogue:
    """Definitions by slug, and by every name that a gateway may use."""

    by_slug: Mapping[str, Definition]
    by_name: Mapping[str, Definition]

    def get(self, name: str) -> Definition | None:
        """Return the provider that a gateway calls ``name``, or None."""
        return self.by_name.get(_plain(name))

    @cached_property
    def anyones(self) -> list[str]:
        """The providers that may be any host, as the gateway says."""
        return [slug for slug, one in self.by_slug.items() if one.poll and "*" in one.poll.hosts]

    def label(self, platform: str) -> str:
        """Return a platform's real name; one that nobody defined is called as its gateway does."""
        definition = self.get(platform)
        return definition.name if definition else platform


def catalogue() -> Catalogue:
    """Read the catalogue: one small query. A stored definition that cannot be used is logged and left out."""
    definitions = dict(built_in())
    for row in Provider.objects.all():
        if not row.is_active:
            definitions.pop(row.slug, None)
            continue
        try:
            definitions[row.slug] = _parsed(row.definition)
        except DefinitionError as error:
            logger.error("The provider %s as changed in the admin cannot be used: %s", row.slug, error)
        except Exception:  # One provider's definition never costs the others.
            logger.exception("The provider %s as changed in the admin cannot be read", row.slug)
    names = {_plain(alias): definition for definition in definitions.values() for alias in definition.aliases}
    return Catalogue(definitions, names | definitions)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Definition:
    return parse(text)


@cache
def built_in() -> Mapping[str, Definition]:
    """Return the definitions that come with the product."""
    return {
        definition.slug: definition
        for definition in (parse(path.read_text()) for path in sorted(Path(__file__).parent.glob("*.toml")))
    }


def built_in_source(slug: str) -> str:
    """Return the TOML of a definition that comes with the product; nothing for another slug."""
    return (Path(__file__).parent / f"{slug}.toml").read_text() if slug in built_in() else ""


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")
