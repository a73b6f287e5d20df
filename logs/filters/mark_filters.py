"""Filters by tags and metadata: is, is not, exists, does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import django_filters
from django.db.models import Q
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from logs.filters.offer import MarksOffered
from logs.models.marks import OTHER_MODEL, SESSION, TAGS, Facet, digest_of, marked
from routescope.filters.address import Address
from routescope.filters.fields import NamesFilter, PairsFilter
from routescope.filters.filter_set import RangeFilterSet
from routescope.text.identifiers import shown

MARKS = ("tag", "tag_not", "meta", "meta_not", "has", "has_not", "session")
OTHER = "other"
_KEY, _IS, _VALUE = "mark_key", "mark_is", "mark_value"
"""The fields of the menu in which a condition is put together."""
IS, IS_NOT, HAS, HAS_NOT = "is", "is_not", "has", "has_not"
_NOTHING = "\0"
"""A key and a value that no record has."""


class MarkFilterSet(RangeFilterSet):
    """The filters by tags and metadata. Of several tags a record has each, of several values of a key any."""

    tag = NamesFilter(label=_l("Tag"))
    tag_not = NamesFilter(label=_l("Not the tag"))
    meta = PairsFilter(label=_l("Metadata"))
    meta_not = PairsFilter(label=_l("Not the metadata"))
    has = NamesFilter(label=_l("With"))
    has_not = NamesFilter(label=_l("Without"))
    session = django_filters.CharFilter(label=_l("Session"))
    answered = django_filters.ChoiceFilter(
        label=_l("Model asked for"), choices=[(OTHER, _l("Another model answered"))]
    )

    class Meta:
        abstract = True

    @cached_property
    def offer(self) -> MarksOffered:
        """What may be filtered by."""
        return MarksOffered(self.whole)

    @property
    def takes_marks(self) -> bool:
        """Whether the reader may filter by tags and metadata: not where these are not shown."""
        return not self.whole.is_without_content

    def marks_of(self, cleaned: Mapping[str, Any]) -> tuple[tuple[tuple[int, ...], ...], Q]:
        """Return the marks that are wanted, of each one, and the condition on those that are not."""
        groups: list[tuple[int, ...]] = [(digest_of(OTHER_MODEL),)] if cleaned.get("answered") else []
        if not self.takes_marks:
            return tuple(groups), Q()
        wanted: dict[str, list[int]] = {}
        for key, value in _facets(cleaned, "tag", "meta"):
            if key == TAGS:
                groups.append((digest_of(key, value),))
            else:
                wanted.setdefault(key, []).append(digest_of(key, value))
        if session := shown(cleaned.get("session") or ""):
            groups.append((digest_of(SESSION, session),))
        groups += [tuple(dict.fromkeys(digests)) for digests in wanted.values()]
        groups += [(digest_of(key),) for key in cleaned.get("has") or ()]
        unwanted = [digest_of(key, value) for key, value in _facets(cleaned, "tag_not", "meta_not")]
        unwanted += [digest_of(key) for key in cleaned.get("has_not") or ()]
        return tuple(dict.fromkeys(groups)), ~marked(unwanted) if unwanted else Q()

    @property
    def problems(self) -> list[str]:
        return [*super().problems, *self.withheld]

    @property
    def withheld(self) -> list[str]:
        """What is said where the reader asks for tags or metadata that are not shown to them."""
        if self.takes_marks or not any(self.data.get(name, "").strip() for name in MARKS):
            return []
        return [_("Tags and metadata are not shown to leads, so records cannot be filtered by them.")]

    @property
    def unreadable(self) -> dict[str, str]:
        """Which filters of tags and metadata could not be read, and why."""
        self.form.is_valid()
        return {name: str(self.form.errors[name][0]) for name in MARKS if name in self.form.errors}

    @cached_property
    def address(self) -> Address:
        address = super().address
        return address if self.takes_marks else address.without(*MARKS)


def facet_of(name: str) -> Facet:
    """Return the key and the value of ``key=value``; an empty value where there is none."""
    key, _sign, value = name.partition("=")
    return Facet(key.strip(), shown(value))


def facet_name(facet: Facet) -> str:
    """Return how a value of metadata, or a tag, is written in the menu."""
    return f"{facet.key}={facet.value}"


def put_together(data: QueryDict) -> QueryDict:
    """Return a query with the condition that was put together in the menu, and tags under their own name."""
    names = (_KEY, _IS, _VALUE)
    if not any(name in data for name in (*names, "meta", "meta_not")):
        return data
    data = data.copy()
    key, how, value = (data.get(name, "").strip() for name in names)
    for name in names:
        data.pop(name, None)
    if key and how in (HAS, HAS_NOT):
        data.appendlist(how, key)
    elif key and value:
        data.appendlist("meta_not" if how == IS_NOT else "meta", f"{key}={value}")
    for name, tags in (("meta", "tag"), ("meta_not", "tag_not")):
        given = data.getlist(name)
        kept = [one for one in given if facet_of(one).key != TAGS]
        for one in given:
            if (facet := facet_of(one)).key == TAGS and facet.value not in data.getlist(tags):
                data.appendlist(tags, facet.value)
        data.setlist(name, kept)
    return data


def _facets(cleaned: Mapping[str, Any], tags: str, others: str) -> Iterable[Facet]:
    yield from (Facet(TAGS, shown(tag)) for tag in cleaned.get(tags) or () if shown(tag))
    for one in cleaned.get(others) or ():
        key, value = facet_of(one)
        yield Facet(key or _NOTHING, value or _NOTHING)
