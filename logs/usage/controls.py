"""What stands over the list: the filters' menus and pills, and ways to other views of the same records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.identities.names import Names, NamesAsked
from accounts.scopes.menu import find_in, menu_of_people
from logs.filters.mark_filters import MARKS, facet_name, facet_of
from logs.filters.usage_filter import (
    CAUSE_WORDS,
    CHART,
    EACH,
    NARROWING,
    STATUS_WORDS,
    THRESHOLDS,
    TYPE_WORDS,
    VIEW,
    WITHOUT,
    UsageFilter,
)
from logs.models.marks import TAGS, Facet
from logs.rollups.breakdown import By
from logs.selection.largest import Sort
from logs.usage import unlike_usual
from logs.usage.unlike_usual import Unlike
from routescope.filters.address import Address
from routescope.filters.filter_set import FilterMenu, Link, Option, Pill, RangeMenu, pills_of


@dataclass(frozen=True, slots=True)
class FurtherMenu:
    """The menu of what is asked for less often. ``chosen`` is how many of its filters are on."""

    types: list[Option]
    thresholds: list[Option]
    stream: list[Option]
    endpoint: str
    answered: list[Option]
    estimated: bool
    chosen: int


@dataclass(frozen=True, slots=True)
class MarksMenu:
    """The menu of tags and metadata: values, and fields in which a condition is put together.

    ``chosen`` is how many conditions are on; ``kept`` are those that no box of the menu stands for, as names
    and values. ``beyond`` are keys of too many values for these to be listed.
    """

    options: list[Option]
    find: str
    keys: list[Option]
    kept: list[tuple[str, str]]
    chosen: int
    beyond: list[str]
    has_more_keys: bool

    @classmethod
    def of(cls, filters: UsageFilter) -> MarksMenu | None:
        """Return the menu; None where the scope's records have neither tags nor metadata."""
        offer, address = filters.offer, filters.address
        chosen = [*(Facet(TAGS, tag) for tag in address.all("tag")), *map(facet_of, address.all("meta"))]
        kept = [(name, value) for name in MARKS[1:] if name != "meta" for value in address.all(name)]
        if not offer.keys and not chosen and not kept:
            return None
        listed = [*chosen, *(facet for facet in offer.listed if facet not in chosen)]
        return cls(
            options=[Option(facet_name(one), facet_label(one), one in chosen) for one in listed],
            find=reverse("usage-values") + filters.whole.query if offer.has_more else "",
            keys=[Option(one.key, key_label(one.key), False) for one in offer.keys],
            kept=kept,
            chosen=len(chosen) + len(kept),
            beyond=[key_label(one.key) for one in offer.keys if one.is_beyond],
            has_more_keys=offer.has_more_keys,
        )


@dataclass(frozen=True, slots=True)
class Controls:
    """``comparable`` leads to each comparison, ``listed`` to the list, ``errors`` to those that failed,
    ``gatherings`` to either way of showing these; ``sessions`` to the sessions; ``orders`` are those of the
    list, ``newest_first`` leads to the one of time; ``live_switch`` turns live over.

    ``counts`` is where an open menu asks how many records each value has. ``unlike`` is what of the range was
    unlike usual, each a way to it.

    ``unmarked`` takes those by tags and metadata off, ``reset`` all filters; the view stays what it is.
    """

    range: RangeMenu
    menus: list[FilterMenu]
    marks: MarksMenu | None
    unmarked: Address
    further: FurtherMenu
    pills: list[Pill]
    comparable: list[Link]
    comparable_keys: list[Link]
    listed: Address
    errors: Address
    sessions: Address | None
    gatherings: list[Link]
    orders: list[Option]
    newest_first: Address
    live_switch: Address
    reset: Address
    counts: str
    unlike: Sequence[Unlike]

    @classmethod
    def of(cls, filters: UsageFilter) -> Controls:
        address = filters.address
        failed = address.without(*VIEW, "status")
        return cls(
            range=RangeMenu.of(filters),
            menus=_menus(filters),
            marks=MarksMenu.of(filters),
            unmarked=address.without(*MARKS),
            further=_further(filters),
            pills=pills(filters),
            comparable=[
                Link(
                    address.without("key").with_(compare=by.value, sort=""),
                    str(by.label),
                    by == filters.compared,
                )
                for by in By
                if _is_comparable(filters, by)
            ],
            comparable_keys=[
                Link(
                    address.with_(compare=By.METADATA.value, key=one.key, sort=""),
                    one.key,
                    filters.compared is By.METADATA and one.key == filters.compared_key,
                )
                for one in filters.offer.keys
                if one.key != TAGS
            ],
            listed=address.without(*VIEW),
            errors=failed.with_(errors=EACH),
            sessions=address.without(*VIEW).with_(sessions="on")
            if filters.sessions_shown or filters.offer.has_sessions
            else None,
            gatherings=[
                Link(failed.with_(errors=str(word)), str(label), word == filters.errors_shown)
                for word, label in filters.filters["errors"].extra["choices"]
            ],
            orders=[
                Option(word, str(label), word == filters.sorted_by)
                for word, label in (("", _("Newest first")), *Sort.choices)
            ],
            newest_first=address.without("sort"),
            live_switch=address.with_(live="" if filters.is_live else "on"),
            reset=address.only(*VIEW, *CHART),
            counts="" if filters.searched_id else reverse("usage-counts"),
            unlike=unlike_usual.shown(filters),
        )


def _is_comparable(filters: UsageFilter, by: By) -> bool:
    """Whether a comparison has a link of its own; those by a key of metadata stand in a menu."""
    if by is By.TAG:
        return filters.offer.has_tags or filters.compared is By.TAG
    return by is not By.METADATA and (by is not By.PERSON or filters.whole.is_of_several)


def pills(filters: UsageFilter) -> list[Pill]:
    """Return a pill for each value of a filter that narrows the selection."""
    words = {word: str(choice.label) for word, choice in (STATUS_WORDS | CAUSE_WORDS | TYPE_WORDS).items()}
    for name in ("answered", "estimated"):
        words |= {word: str(label) for word, label in filters.filters[name].extra["choices"]}
    words |= _people(filters)
    labels = {name: _label(filters, name) for name in NARROWING if name not in ("without", *MARKS)}
    return [
        *pills_of(filters.address, labels, words),
        *(
            Pill("without", "", str(label), filters.address.without_value("without", name))
            for name, label in WITHOUT.items()
            if name in filters.address.all("without")
        ),
        *_pills_of_marks(filters),
    ]


def _pills_of_marks(filters: UsageFilter) -> Iterator[Pill]:
    address = filters.address
    for name in MARKS:
        for value in address.all(name):
            without = address.without_value(name, value)
            if name == "session":
                yield Pill(name, _label(filters, name), value, without)
            elif name in ("has", "has_not"):
                yield Pill(name, _label(filters, name), key_label(value), without)
            else:
                facet = Facet(TAGS, value) if name in ("tag", "tag_not") else facet_of(value)
                label = key_label(facet.key) if facet.key != TAGS else _("Tag")
                if name.endswith("_not"):
                    label = _("%(key)s is not") % {"key": label}
                yield Pill(name, label, facet.value, without)


def key_label(key: str) -> str:
    """Return what a key of metadata is called, or that of tags."""
    return _("Tags") if key == TAGS else key


def facet_label(facet: Facet) -> str:
    """Return what a value is called in a menu: a tag by itself, other values after their key."""
    return facet.value if facet.key == TAGS else f"{facet.key}: {facet.value}"


def _people(filters: UsageFilter) -> dict[str, str]:
    """Return what the people chosen are called, by number."""
    chosen = [int(number) for number in filters.address.all("person") if number.isdecimal()]
    names = filters.vocabulary.people
    names.learn(chosen)
    return {str(number): names.of[number] for number in chosen if number in names.of}


def _menus(filters: UsageFilter) -> list[FilterMenu]:
    """Return the menus of values, each with what is chosen in it."""
    named = {
        "token": filters.vocabulary.tokens,
        "model": filters.vocabulary.models,
        "group": filters.vocabulary.groups,
    }
    address = filters.address
    people = filters.vocabulary.people
    menus = menu_of_people(filters.whole, people, address.all("person"), _label(filters, "person"), "usage")
    menus += [
        FilterMenu(
            name,
            _label(filters, name),
            [*_without(filters, name), *_options(known, address.all(name))],
            typed=True,
            find=find_in(filters.whole, name, "usage") if isinstance(known, NamesAsked) else "",
        )
        for name, known in named.items()
    ]
    for name, words in (("status", STATUS_WORDS), ("cause", CAUSE_WORDS)):
        if name == "status" and filters.errors_shown:
            # All of them failed.
            continue
        chosen = filters.address.all(name)
        options = [Option(word, str(choice.label), word in chosen) for word, choice in words.items()]
        menus.append(FilterMenu(name, _label(filters, name), options, typed=False))
    return menus


def _further(filters: UsageFilter) -> FurtherMenu:
    address = filters.address
    stream = (("", _("Streamed or not")), *filters.filters["stream"].extra["choices"])
    types = address.all("type")
    alone = ("type", "stream", "endpoint", "estimated", "answered")
    return FurtherMenu(
        types=[Option(word, str(kind.label), word in types) for word, kind in TYPE_WORDS.items()],
        thresholds=[Option(name, _label(filters, name), False, address.one(name)) for name in THRESHOLDS],
        stream=[Option(word, str(label), address.one("stream") == word) for word, label in stream],
        endpoint=address.one("endpoint"),
        answered=_answered(filters),
        estimated=bool(address.one("estimated")),
        chosen=sum(bool(address.all(name)) for name in (*THRESHOLDS, *alone)),
    )


def _answered(filters: UsageFilter) -> list[Option]:
    """Return the choices of what answered, where any record says that another model did."""
    chosen = filters.address.one("answered")
    if not chosen and not filters.offer.has_other_models:
        return []
    choices = (("", _("Any answered")), *filters.filters["answered"].extra["choices"])
    return [Option(word, str(label), word == chosen) for word, label in choices]


def _without(filters: UsageFilter, name: str) -> list[Option]:
    """Return the option of records without such a name, where that is asked for."""
    if name not in filters.address.all("without"):
        return []
    return [Option(name, str(WITHOUT[name]), True, parameter="without")]


def _options(known: Names, chosen: tuple[str, ...]) -> list[Option]:
    unknown = [name for name in chosen if name not in known]
    current = [known.now(name) for name in chosen]
    return [Option(name, name, name in current) for name in [*unknown, *known]]


def _label(filters: UsageFilter, name: str) -> str:
    return str(filters.filters[name].label)
