"""The Usage Logs filters: from a query string to a selection, or to one request ID."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import django_filters
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import AIModel, ApiToken, Group, User
from logs.models import Status, UsageDay, UsageRecord
from logs.querysets import UsageRecordQuerySet
from logs.selection import Selection
from routescope.filtering import (
    RANGE_CHOICES,
    MomentFilter,
    NamesFilter,
    Option,
    Pill,
    RangeFilterSet,
)
from routescope.ranges import Preset

_LABELLED_ID = re.compile(r"request[ _-]?id[\"']?\s*[:=]?\s*[\"']?([^\s\"',;)\]}]{3,})", re.IGNORECASE)
STATUS_WORDS = {"success": Status.SUCCESS, "error": Status.ERROR}
_NOTHING = -1
"""The id of no row: a name that the person has no records of selects nothing."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a person can filter by: their own tokens, and what their records were made with."""

    tokens: Mapping[str, int]
    models: Mapping[str, int]
    groups: Mapping[str, int]

    @classmethod
    def of(cls, user: User) -> Vocabulary:
        """Read it from the tokens and the daily sums; the records themselves are never searched."""
        days = UsageDay.objects.filter(user_id=user.pk)
        models = AIModel.objects.filter(id__in=days.values("model_id")).order_by("name")
        groups = Group.objects.filter(id__in=days.values("group_id")).order_by("name")
        return cls(
            tokens=dict(ApiToken.objects.filter(owner=user).order_by("name").values_list("name", "id")),
            models=dict(models.values_list("name", "id")),
            groups=dict(groups.values_list("name", "id")),
        )


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
    request_id = django_filters.CharFilter()

    class Meta:
        model = UsageRecord
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, user: User) -> None:
        super().__init__(data, queryset=UsageRecord.objects.visible_to(user))
        self.user = user
        self.vocabulary = Vocabulary.of(user)
        self.now = timezone.now()

    @property
    def searched_id(self) -> str:
        """The request ID searched for, freed of the quotes and labels it is copied with; or nothing."""
        self.form.is_valid()
        return clean_request_id(self.form.cleaned_data.get("request_id") or "")

    @property
    def selection(self) -> Selection:
        """What the filters select. Values that could not be used select as if they were not there."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        return Selection(
            chosen=self.chosen_range(self.now),
            tokens=_ids(cleaned.get("token"), self.vocabulary.tokens),
            models=_ids(cleaned.get("model"), self.vocabulary.models),
            groups=_ids(cleaned.get("group"), self.vocabulary.groups),
            statuses=tuple(STATUS_WORDS[word].value for word in cleaned.get("status") or ()),
        )

    def filter_queryset(self, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        """Filter records: by request ID over all time, or else by the selection."""
        records = cast("UsageRecordQuerySet[UsageRecord]", queryset)
        if self.searched_id:
            return records.identified_by(self.searched_id)
        return records.within(self.selection.chosen).filter(self.selection.dimensions)

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
    def is_first_run(self) -> bool:
        """Whether the person has no record at all."""
        return not UsageDay.objects.filter(user_id=self.user.pk).exists()

    @property
    def without_request_id(self) -> str:
        return self.without("request_id")

    @property
    def all_time_query(self) -> str:
        return self.with_(range=Preset.ALL.value, start="", end="")

    @property
    def pills(self) -> list[Pill]:
        return self.pills_of(
            {
                "token": gettext_lazy("Token"),
                "model": gettext_lazy("Model"),
                "group": gettext_lazy("Group"),
                "status": gettext_lazy("Status"),
            },
            {word: str(status.label) for word, status in STATUS_WORDS.items()},
        )

    @property
    def menus(self) -> list[Menu]:
        """The menus of values, each with what is chosen in it."""
        chosen = self.query
        vocabulary = self.vocabulary
        return [
            Menu(name, str(label), _options(values, chosen.getlist(name)), typed=True)
            for name, label, values in (
                ("token", gettext_lazy("Token"), vocabulary.tokens),
                ("model", gettext_lazy("Model"), vocabulary.models),
                ("group", gettext_lazy("Group"), vocabulary.groups),
            )
        ] + [
            Menu(
                "status",
                _("Status"),
                [
                    Option(word, str(status.label), word in chosen.getlist("status"))
                    for word, status in STATUS_WORDS.items()
                ],
                typed=False,
            )
        ]


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


def clean_request_id(text: str) -> str:
    """Return the ID in what was pasted: an ID alone, a quoted one, or an error message that names one."""
    text = text.replace("\x00", "")
    labelled = _LABELLED_ID.search(text)
    words = [labelled[1]] if labelled else sorted(text.split(), key=len)
    return words[-1].strip("\"'`,;()[]{}<>").removesuffix(".")[:255] if words else ""


def _ids(names: list[str] | None, known: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(known.get(name, _NOTHING) for name in names or ())


def _options(known: Mapping[str, int], chosen: list[str]) -> list[Option]:
    unknown = [name for name in chosen if name not in known]
    return [Option(name, name, name in chosen) for name in [*unknown, *known]]
