"""The Usage Logs filters: from a query string to a selection, or to one request ID."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
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
from logs.filters.mark_filters import MARKS, MarkFilterSet, put_together
from logs.filters.vocabulary import Vocabulary
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.marks import TAGS
from logs.models.querysets import UsageRecordQuerySet
from logs.rollups.breakdown import By
from logs.rollups.figures import SORTS
from logs.rollups.metrics import DEFAULT, METRICS, Stack
from logs.selection.chosen import NONE, Selection
from logs.selection.largest import Sort
from routescope.data.ranges import MINUTE, floor
from routescope.data.scopes import Scope
from routescope.filters.address import Address
from routescope.filters.fields import MomentFilter, NamesFilter, NumbersFilter
from routescope.filters.filter_set import RANGE_CHOICES
from routescope.text import pasted

STATUS_WORDS = {"success": Status.SUCCESS, "error": Status.ERROR}
CAUSE_WORDS = {cause.name.lower(): cause for cause in Cause if cause is not Cause.NONE}
NAMED = ("token", "model", "group")
WITHOUT = {"token": _l("Without a token"), "model": _l("Without a model"), "group": _l("Without a group")}
"""What ``without`` may say: records that have no such name. Not among the names, of which it might be one."""
TYPE_WORDS = {
    "request": RecordType.REQUEST,
    "task": RecordType.TASK,
    "refund": RecordType.REFUND,
    "adjustment": RecordType.ADJUSTMENT,
}
VALUES = (
    "person", *NAMED, "without", "status", "cause", "type", "stream", "endpoint", "estimated", "answered",
    *MARKS,
)  # fmt: skip
THRESHOLDS = ("cost_min", "cost_max", "duration_min", "duration_max", "tokens_min", "tokens_max")
NARROWING = (*VALUES, *THRESHOLDS)
"""The filters that narrow what is selected, besides the range of time."""
EACH, GATHERED = "each", "gathered"
VIEW = ("compare", "key", "sort", "errors", "sessions")
"""The parameters that say how what is selected is shown."""
CHART = ("chart", "stack")
"""The parameters that say what the chart above it draws."""
_NOTHING = -1
"""The id of no row: a name that the person has no records of selects nothing."""


class UsageFilter(MarkFilterSet):
    """Filters of usage records. Values are names, as a person reads and shares them in a URL."""

    range = django_filters.ChoiceFilter(choices=RANGE_CHOICES)
    start = MomentFilter()
    end = MomentFilter()
    person = NumbersFilter(label=_l("Person"))
    token = NamesFilter(label=_l("Token"))
    model = NamesFilter(label=_l("Model"))
    group = NamesFilter(label=_l("Group"))
    without = django_filters.MultipleChoiceFilter(label=_l("Without"), choices=list(WITHOUT.items()))
    status = django_filters.MultipleChoiceFilter(
        label=_l("Status"), choices=[(word, status.label) for word, status in STATUS_WORDS.items()]
    )
    cause = django_filters.MultipleChoiceFilter(
        label=_l("Cause"), choices=[(word, cause.label) for word, cause in CAUSE_WORDS.items()]
    )
    type = django_filters.MultipleChoiceFilter(
        label=_l("Record type"), choices=[(word, kind.label) for word, kind in TYPE_WORDS.items()]
    )
    stream = django_filters.ChoiceFilter(
        label=_l("Stream"), choices=[("yes", _l("Streamed")), ("no", _l("Not streamed"))]
    )
    endpoint = django_filters.CharFilter(label=_l("Endpoint"))
    estimated = django_filters.ChoiceFilter(
        label=_l("Token counts"), choices=[("on", _l("Estimated by the gateway"))]
    )
    cost_min = django_filters.NumberFilter(label=_l("Cost from (USD)"))
    cost_max = django_filters.NumberFilter(label=_l("Cost up to (USD)"))
    duration_min = django_filters.NumberFilter(label=_l("Duration from (s)"), min_value=0)
    duration_max = django_filters.NumberFilter(label=_l("Duration up to (s)"), min_value=0)
    tokens_min = django_filters.NumberFilter(label=_l("Tokens from"), min_value=0)
    tokens_max = django_filters.NumberFilter(label=_l("Tokens up to"), min_value=0)
    live = django_filters.ChoiceFilter(choices=[("on", _l("Live"))])
    request_id = django_filters.CharFilter()
    compare = django_filters.ChoiceFilter(choices=By.choices)
    key = django_filters.CharFilter()
    errors = django_filters.ChoiceFilter(choices=[(EACH, _l("One by one")), (GATHERED, _l("Grouped"))])
    sessions = django_filters.ChoiceFilter(choices=[("on", _l("Sessions"))])
    sort = django_filters.ChoiceFilter(choices=[(sort, sort) for sort in {*SORTS, *Sort.values}])

    id_field = "request_id"

    class Meta:
        model = UsageRecord
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        super().__init__(put_together(data), queryset=UsageRecord.objects.visible_to(scope), scope=scope)
        self.vocabulary = Vocabulary.of(scope)
        self.now = timezone.now()

    @cached_property
    def searched_id(self) -> str:
        """The request ID searched for, freed of the quotes and labels it is copied with; or nothing."""
        self.form.is_valid()
        mine = UsageRecord.objects.visible_to(self.scope)
        return pasted.found_in(
            self.form.cleaned_data.get("request_id") or "", lambda one: mine.identified_by(one).exists()
        )

    @cached_property
    def scope(self) -> Scope:
        """Whose records are meant: the page's scope, as far as people and tokens are chosen of it."""
        return self.scope_without()

    def scope_without(self, *names: str) -> Scope:
        """Return whose records would be meant if some filters were off."""
        scope = self.whole
        if not scope.is_of_several:
            return scope
        self.form.is_valid()
        cleaned = {name: value for name, value in self.form.cleaned_data.items() if name not in names}
        if people := cleaned.get("person"):
            scope = scope.narrowed(self._families(people))
        tokens = self._token_ids(cleaned)
        if tokens and NONE not in tokens:
            # A token has one owner, whose records alone can be meant.
            owners = ApiToken.objects.filter(pk__in=tokens).values_list("owner_id", flat=True)
            scope = scope.narrowed(owners)
        return scope

    def _families(self, people: Iterable[int]) -> list[int]:
        """Return the ids of people and of the users who were merged into them."""
        found = User.objects.filter(Q(pk__in=people) | Q(merged_into__in=people))
        return list(found.order_by("pk").values_list("pk", flat=True))

    def _token_ids(self, cleaned: Mapping[str, Any]) -> tuple[int, ...]:
        return _ids(cleaned.get("token"), self.vocabulary.tokens, "token" in (cleaned.get("without") or ()))

    @cached_property
    def selection(self) -> Selection:
        """What the filters select. Values that could not be used select as if they were not there."""
        return self.selection_without()

    def selection_without(self, *names: str) -> Selection:
        """Return what would be selected if some filters were off."""
        self.form.is_valid()
        cleaned = {name: value for name, value in self.form.cleaned_data.items() if name not in names}
        if self.errors_shown:
            cleaned["status"] = ["error"]
        without = cleaned.get("without") or ()
        tokens, bounds = self._token_ids(cleaned), _bounds(cleaned)
        marks, unmarked = self.marks_of(cleaned)
        if NONE in tokens and self.whole.is_everyone:
            # No sum over all users knows the token.
            bounds &= Selection(tokens=tokens).dimensions
            tokens = ()
        return Selection(
            chosen=self.chosen_range(self.now),
            tokens=tokens,
            models=_ids(cleaned.get("model"), self.vocabulary.models, "model" in without),
            groups=_ids(cleaned.get("group"), self.vocabulary.groups, "group" in without),
            statuses=tuple(STATUS_WORDS[word].value for word in cleaned.get("status") or ()),
            causes=tuple(CAUSE_WORDS[word].value for word in cleaned.get("cause") or ()),
            types=tuple(TYPE_WORDS[word].value for word in cleaned.get("type") or ()),
            bounds=bounds & unmarked,
            least=_least(cleaned),
            marks=marks,
            is_by_record=bool(self.compared_key) or self.sessions_shown,
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
        if word == By.PERSON and not self.whole.is_of_several:
            return None
        if word in (By.TAG, By.METADATA) and not (self.takes_marks and (word == By.TAG or self._key)):
            return None
        return By(word) if word else None

    @property
    def compared_key(self) -> str:
        """The key whose values are compared, that of tags among them; nothing where that is not so."""
        return {By.TAG: TAGS, By.METADATA: self._key}.get(self.compared, "") if self.compared else ""

    @property
    def _key(self) -> str:
        self.form.is_valid()
        return self.form.cleaned_data.get("key") or ""

    @property
    def errors_shown(self) -> str:
        """How the errors are shown, `EACH` or `GATHERED`; nothing where that is not what is asked for."""
        self.form.is_valid()
        return "" if self.compared else self.form.cleaned_data.get("errors") or ""

    @property
    def sessions_shown(self) -> bool:
        """Whether sessions stand in place of the list."""
        self.form.is_valid()
        is_free = not (self.compared or self.errors_shown or self.searched_id)
        return is_free and self.takes_marks and bool(self.form.cleaned_data.get("sessions"))

    @property
    def sorted_by(self) -> str:
        """How the comparison is sorted, or the list: nothing where that is newest first."""
        if by := self.compared:
            sort = self.form.cleaned_data.get("sort")
            return sort if sort in SORTS else by.default_sort
        return self.order.value if self.order else ""

    @property
    def order(self) -> Sort | None:
        """What the list is sorted by, the largest first; None where it is in the order of time."""
        self.form.is_valid()
        sort = self.form.cleaned_data.get("sort")
        is_other = self.compared or self.errors_shown or self.searched_id or self.sessions_shown
        if sort not in Sort.values or is_other:
            return None
        return Sort(sort)

    @property
    def charted(self) -> str:
        """The word of the metric that the chart is to draw; nothing where that is none that is known."""
        word = self.data.get("chart", "").strip()
        return word if word in METRICS else ""

    @property
    def stacked_by(self) -> Stack | None:
        """What its bars are divided by; None where they are not, or cannot be."""
        word = self.data.get("stack", "").strip()
        return Stack(word) if word in Stack.values and METRICS[self.charted or DEFAULT].of else None

    @cached_property
    def address(self) -> Address:
        chart = "" if self.charted == DEFAULT else self.charted
        address = super().address.with_(chart=chart, stack=self.stacked_by.value if self.stacked_by else "")
        if not self.whole.is_of_several:
            address = address.without("person")
        if self.errors_shown:
            return address.without("compare", "key", "sort", "status", "sessions")
        if self.sessions_shown:
            return address.without(*VIEW).with_(sessions="on")
        if self.compared is None:
            return address.without(*VIEW).with_(sort=self.sorted_by)
        address = address.without("errors", "sessions", *(() if self.compared is By.METADATA else ("key",)))
        return address.without("sort") if self.sorted_by == self.compared.default_sort else address

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

    @cached_property
    def one_token(self) -> ApiToken | None:
        """The token filtered for, where it is one alone: its limits belong into the chart."""
        self.form.is_valid()
        names: list[str] = self.form.cleaned_data.get("token") or []
        if len(names) != 1:
            return None
        mine = ApiToken.objects.filter(pk__in=self.vocabulary.tokens.get(names[0], ()), merged_into=None)
        if self.whole.is_of_several:
            # People may call theirs alike: one is meant where one person's is.
            mine = mine.filter(owner__in=self.scope.ids)
            return mine.get() if mine.count() == 1 else None
        return mine.order_by("pk").first()


def _bounds(cleaned: Mapping[str, Any]) -> Q:
    """Return the condition that only the records themselves can answer."""
    condition = Q()
    if stream := cleaned.get("stream"):
        condition &= Q(stream=stream == "yes")
    if endpoint := cleaned.get("endpoint"):
        condition &= Q(endpoint__icontains=endpoint)
    if cleaned.get("estimated"):
        condition &= Q(usage_estimated=True)
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


def _least(cleaned: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    """Return what the bounds of a sum must reach, for one of its records to meet the thresholds."""
    columns = {
        "cost_min": ("max_cost", 1),
        "duration_min": ("max_duration_ms", 1000),
        "tokens_min": ("max_tokens", 1),
    }
    return tuple(
        (bound, cleaned[name] * unit)
        for name, (bound, unit) in columns.items()
        if cleaned.get(name) is not None
    )


def _ids(names: list[str] | None, known: Names, or_none: bool) -> tuple[int, ...]:
    return (
        *((NONE,) if or_none else ()),
        *(identifier for name in names or () for identifier in known.get(name, (_NOTHING,))),
    )
