"""The Usage Logs filters: from a query string to a selection, or to one request ID."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import django_filters
from django.db.models import BigIntegerField, F, Q, QuerySet
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from accounts.identities.names import Names
from accounts.models import ApiToken, User
from logs.filters.vocabulary import Vocabulary
from logs.models import Cause, Status, UsageDay, UsageRecord
from logs.models.querysets import UsageRecordQuerySet
from logs.rollups.breakdown import By
from logs.rollups.figures import SORTS
from logs.selection.chosen import Selection
from routescope.data.keyset import Cursor
from routescope.data.ranges import MINUTE, Preset, floor
from routescope.filters.filter_set import (
    RANGE_CHOICES,
    MomentFilter,
    NamesFilter,
    Option,
    Pill,
    RangeFilterSet,
)
from routescope.text import pasted

STATUS_WORDS = {"success": Status.SUCCESS, "error": Status.ERROR}
CAUSE_WORDS = {cause.name.lower(): cause for cause in Cause if cause is not Cause.NONE}
THRESHOLDS = ("cost_min", "cost_max", "duration_min", "duration_max", "tokens_min", "tokens_max")
_LABELS = {
    "token": _l("Token"),
    "model": _l("Model"),
    "group": _l("Group"),
    "status": _l("Status"),
    "cause": _l("Cause"),
    "stream": _l("Stream"),
    "endpoint": _l("Endpoint"),
}
_NOTHING = -1
"""The id of no row: a name that the person has no records of selects nothing."""


class UsageFilter(RangeFilterSet):
    """Filters of usage records. Values are names, as a person reads and shares them in a URL."""

    range = django_filters.ChoiceFilter(choices=RANGE_CHOICES)
    start = MomentFilter()
    end = MomentFilter()
    token = NamesFilter()
    model = NamesFilter()
    group = NamesFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=[(word, status.label) for word, status in STATUS_WORDS.items()]
    )
    cause = django_filters.MultipleChoiceFilter(
        choices=[(word, cause.label) for word, cause in CAUSE_WORDS.items()]
    )
    stream = django_filters.ChoiceFilter(choices=[("yes", _l("Streamed")), ("no", _l("Not streamed"))])
    endpoint = django_filters.CharFilter()
    cost_min = django_filters.NumberFilter(label=_l("Cost from (USD)"))
    cost_max = django_filters.NumberFilter(label=_l("Cost up to (USD)"))
    duration_min = django_filters.NumberFilter(label=_l("Duration from (s)"), min_value=0)
    duration_max = django_filters.NumberFilter(label=_l("Duration up to (s)"), min_value=0)
    tokens_min = django_filters.NumberFilter(label=_l("Tokens from"), min_value=0)
    tokens_max = django_filters.NumberFilter(label=_l("Tokens up to"), min_value=0)
    live = django_filters.ChoiceFilter(choices=[("on", _l("Live"))])
    request_id = django_filters.CharFilter()
    compare = django_filters.ChoiceFilter(choices=By.choices)
    sort = django_filters.ChoiceFilter(choices=[(sort, sort) for sort in SORTS])

    id_field = "request_id"

    class Meta:
        model = UsageRecord
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, user: User) -> None:
        super().__init__(data, queryset=UsageRecord.objects.visible_to(user))
        self.user = user
        self.vocabulary = Vocabulary.of(user)
        self.now = timezone.now()

    @cached_property
    def searched_id(self) -> str:
        """The request ID searched for, freed of the quotes and labels it is copied with; or nothing."""
        self.form.is_valid()
        mine = UsageRecord.objects.visible_to(self.user)
        return pasted.found_in(
            self.form.cleaned_data.get("request_id") or "", lambda one: mine.identified_by(one).exists()
        )

    @property
    def selection(self) -> Selection:
        """What the filters select. Values that could not be used select as if they were not there."""
        return self.selection_without()

    def selection_without(self, *names: str) -> Selection:
        """Return what would be selected if some filters were off."""
        self.form.is_valid()
        cleaned = {name: value for name, value in self.form.cleaned_data.items() if name not in names}
        return Selection(
            chosen=self.chosen_range(self.now),
            tokens=_ids(cleaned.get("token"), self.vocabulary.tokens),
            models=_ids(cleaned.get("model"), self.vocabulary.models),
            groups=_ids(cleaned.get("group"), self.vocabulary.groups),
            statuses=tuple(STATUS_WORDS[word].value for word in cleaned.get("status") or ()),
            causes=tuple(CAUSE_WORDS[word].value for word in cleaned.get("cause") or ()),
            bounds=_bounds(cleaned),
        )

    def filter_queryset(self, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        """Filter records: by request ID over all time, or else by the selection."""
        records = cast("UsageRecordQuerySet[UsageRecord]", queryset)
        if self.searched_id:
            return records.identified_by(self.searched_id)
        return records.within(self.selection.chosen).filter(self.selection.condition)

    @property
    def compared(self) -> By | None:
        """What is compared; None where records are listed."""
        self.form.is_valid()
        word = self.form.cleaned_data.get("compare")
        return By(word) if word else None

    @property
    def sorted_by(self) -> str:
        """How the comparison is sorted."""
        by = self.compared
        return (self.form.cleaned_data.get("sort") or by.default_sort) if by else ""

    @property
    def query(self) -> QueryDict:
        query = super().query
        if self.compared is None:
            query.pop("compare", None)
        if self.compared is None or self.sorted_by == self.compared.default_sort:
            query.pop("sort", None)
        return query

    @property
    def comparable(self) -> list[Option]:
        """What can be compared, each with the query string that does as its value."""
        return [
            Option(self.with_(compare=by.value, sort=""), str(by.label), by == self.compared) for by in By
        ]

    def listed_query(self, cursor: Cursor) -> str:
        """Return the query string of the list, whichever view this is, at a cursor."""
        listed = QueryDict(self.list_query.removeprefix("?"), mutable=True)
        for name, place in (("older", cursor.older), ("newer", cursor.newer)):
            if place:
                listed[name] = str(place)
        return f"?{listed.urlencode()}"

    @property
    def list_query(self) -> str:
        return self.with_(compare="", sort="")

    @property
    def reset_query(self) -> str:
        """The query string with no filter: the view it is stays."""
        query = self.query
        kept = QueryDict(mutable=True)
        for name in ("compare", "sort"):
            if name in query:
                kept.setlist(name, query.getlist(name))
        return f"?{kept.urlencode()}" if kept else ""

    @property
    def problems(self) -> list[str]:
        problems = super().problems
        for name, known, sentence in (
            ("token", self.vocabulary.tokens, _("You have no token called “%(name)s”.")),
            ("model", self.vocabulary.models, _("You have no records of a model called “%(name)s”.")),
            ("group", self.vocabulary.groups, _("You have no records in a group called “%(name)s”.")),
        ):
            problems += [
                sentence % {"name": value}
                for value in self.form.cleaned_data.get(name) or ()
                if value not in known
            ]
        return problems

    @property
    def until(self) -> datetime:
        """Where a range ends that goes up to the present."""
        return floor(self.now, MINUTE) + MINUTE

    @property
    def is_live(self) -> bool:
        """Whether new records are to be shown as they come."""
        self.form.is_valid()
        return bool(self.form.cleaned_data.get("live"))

    @property
    def live_switch(self) -> str:
        """The query string with live turned the other way."""
        return self.with_(live="" if self.is_live else "on")

    @cached_property
    def one_token(self) -> ApiToken | None:
        """The token filtered for, where it is one alone: its limits belong into the chart."""
        self.form.is_valid()
        names: list[str] = self.form.cleaned_data.get("token") or []
        if len(names) != 1:
            return None
        mine = ApiToken.objects.filter(pk__in=self.vocabulary.tokens.get(names[0], ()), merged_into=None)
        return mine.order_by("pk").first()

    @property
    def is_first_run(self) -> bool:
        """Whether the person has no record at all."""
        return not UsageDay.objects.filter(user_id__in=self.user.ids).exists()

    @property
    def without_request_id(self) -> str:
        return self.without("request_id")

    @property
    def unfiltered_query(self) -> str:
        """The query string with the range and the view alone."""
        return self.with_(**{pill.name: "" for pill in self.pills})

    @property
    def everything_query(self) -> str:
        """The query string of this view of all records of all time."""
        return self.with_(**{pill.name: "" for pill in self.pills}, range=Preset.ALL.value, start="", end="")

    @property
    def all_time_query(self) -> str:
        return self.with_(range=Preset.ALL.value, start="", end="")

    @property
    def pills(self) -> list[Pill]:
        words = {word: str(choice.label) for word, choice in (STATUS_WORDS | CAUSE_WORDS).items()}
        labels = {name: self.filters[name].label for name in THRESHOLDS}
        return self.pills_of({**_LABELS, **labels}, words)

    @property
    def menus(self) -> list[Menu]:
        """The menus of values, each with what is chosen in it."""
        chosen = self.query
        named = [
            Menu(name, str(_LABELS[name]), _options(known, chosen.getlist(name)), typed=True)
            for name, known in (
                ("token", self.vocabulary.tokens),
                ("model", self.vocabulary.models),
                ("group", self.vocabulary.groups),
            )
        ]
        return named + [
            Menu(
                name,
                str(_LABELS[name]),
                [
                    Option(word, str(choice.label), word in chosen.getlist(name))
                    for word, choice in words.items()
                ],
                typed=False,
            )
            for name, words in (("status", STATUS_WORDS), ("cause", CAUSE_WORDS))
        ]

    @property
    def further(self) -> Further:
        """The menu of what is asked for less often: thresholds, stream, endpoint."""
        query = self.query
        return Further(
            thresholds=[
                Option(name, str(self.filters[name].label), False, query.get(name, "")) for name in THRESHOLDS
            ],
            stream=[
                Option(word, str(label), query.get("stream", "") == word)
                for word, label in (("", _("Streamed or not")), *self.filters["stream"].extra["choices"])
            ],
            endpoint=query.get("endpoint", ""),
            chosen=sum(name in query for name in (*THRESHOLDS, "stream", "endpoint")),
        )


@dataclass(frozen=True, slots=True)
class Further:
    thresholds: list[Option]
    stream: list[Option]
    endpoint: str
    chosen: int


@dataclass(frozen=True, slots=True)
class Menu:
    """A filter's menu. ``typed``: has a box to type into, for long lists."""

    name: str
    label: str
    options: list[Option]
    typed: bool

    @property
    def chosen(self) -> int:
        return sum(option.chosen for option in self.options)


def _bounds(cleaned: Mapping[str, Any]) -> Q:
    """Return the condition that only the records themselves can answer."""
    condition = Q()
    if stream := cleaned.get("stream"):
        condition &= Q(stream=stream == "yes")
    if endpoint := cleaned.get("endpoint"):
        condition &= Q(endpoint__icontains=endpoint)
    for name, column, unit in (("cost", "cost", 1), ("duration", "duration_ms", 1000)):
        if (least := cleaned.get(f"{name}_min")) is not None:
            condition &= Q(**{f"{column}__gte": least * unit})
        if (most := cleaned.get(f"{name}_max")) is not None:
            condition &= Q(**{f"{column}__lte": most * unit})
    # Wider than its columns: two of the largest counts together fit in no integer.
    tokens = Cast(F("input_tokens"), BigIntegerField()) + F("output_tokens")
    if (least := cleaned.get("tokens_min")) is not None:
        condition &= Q(GreaterThanOrEqual(tokens, least))
    if (most := cleaned.get("tokens_max")) is not None:
        condition &= Q(LessThanOrEqual(tokens, most))
    return condition


def _ids(names: list[str] | None, known: Names) -> tuple[int, ...]:
    return tuple(identifier for name in names or () for identifier in known.get(name, (_NOTHING,)))


def _options(known: Names, chosen: list[str]) -> list[Option]:
    unknown = [name for name in chosen if name not in known]
    chosen = [known.now(name) for name in chosen]
    return [Option(name, name, name in chosen) for name in [*unknown, *known]]
