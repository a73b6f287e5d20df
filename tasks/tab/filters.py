"""The Task Logs filters: from a query string to conditions on tasks, or to one task ID."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import django_filters
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from accounts.identities.names import CALLED, Names, people_names, token_names
from accounts.models import AIModel, ApiToken, Group, User
from routescope.data.ranges import Preset
from routescope.data.scopes import Scope
from routescope.filters.address import Address
from routescope.filters.fields import MomentFilter, NamesFilter, NumbersFilter
from routescope.filters.filter_set import RANGE_CHOICES, RangeFilterSet
from routescope.text import pasted
from tasks.models import AsyncTask, TaskStatus, TaskType
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.outcomes.causes import TaskCause
from tasks.providers.catalogue import Catalogue
from tasks.sums import counts
from tasks.sums.chosen import Selection

NARROWING = ("person", "type", "status", "cause", "platform", "model", "token", "group")
"""The filters besides the range of time."""
ATTENTION = "attention"
"""The order in which what failed and what runs comes first."""
_NOTHING = -1


@dataclass(frozen=True, slots=True)
class Seen:
    """The platforms of a person's tasks, and the ids of their models and groups."""

    platforms: set[str]
    models: set[int]
    groups: set[int]


class TaskFilter(RangeFilterSet):
    """Filters of async tasks. Values are names, as a person reads and shares them in a URL."""

    range = django_filters.ChoiceFilter(choices=RANGE_CHOICES)
    start = MomentFilter()
    end = MomentFilter()
    type = django_filters.MultipleChoiceFilter(label=_l("Type"), choices=TaskType.choices)
    person = NumbersFilter(label=_l("Person"))
    status = django_filters.MultipleChoiceFilter(label=_l("Status"), choices=TaskStatus.choices)
    cause = django_filters.MultipleChoiceFilter(label=_l("Cause"), choices=TaskCause.choices)
    platform = NamesFilter(label=_l("Platform"))
    model = NamesFilter(label=_l("Model"))
    token = NamesFilter(label=_l("Token"))
    group = NamesFilter(label=_l("Group"))
    order = django_filters.ChoiceFilter(choices=[(ATTENTION, _l("Failed and running first"))])
    task_id = django_filters.CharFilter()

    # Tasks are far fewer than calls, and one comes back to them after days.
    default_range = Preset.WEEK

    id_field = "task_id"

    class Meta:
        model = AsyncTask
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, scope: Scope, catalogue: Catalogue) -> None:
        super().__init__(data, queryset=AsyncTask.objects.visible_to(scope), scope=scope)
        self.catalogue = catalogue
        self.now = timezone.now()

    @cached_property
    def searched_id(self) -> str:
        """The task ID searched for, freed of the quotes and labels it is copied with; or nothing."""
        self.form.is_valid()
        typed = self.form.cleaned_data.get("task_id") or ""
        mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(self.scope)
        return pasted.found_in(typed, lambda one: mine.identified_by(one).exists(), work="task")

    @cached_property
    def scope(self) -> Scope:
        """Whose tasks are meant: the page's scope, as far as people and tokens are chosen of it."""
        return self.scope_without()

    def scope_without(self, *names: str) -> Scope:
        """Return whose tasks would be meant if some filters were off."""
        scope = self.whole
        if not scope.is_of_several:
            return scope
        self.form.is_valid()
        cleaned = {name: value for name, value in self.form.cleaned_data.items() if name not in names}
        if people := cleaned.get("person"):
            families = User.objects.filter(Q(pk__in=people) | Q(merged_into__in=people)).order_by("pk")
            scope = scope.narrowed(families.values_list("pk", flat=True))
        if called := _storable(cleaned.get("token")):
            tokens = [identifier for name in called for identifier in self.tokens.get(name, ())]
            owners = ApiToken.objects.filter(pk__in=tokens).values_list("owner_id", flat=True)
            scope = scope.narrowed(owners)
        return scope

    @cached_property
    def address(self) -> Address:
        return super().address if self.whole.is_of_several else super().address.without("person")

    @cached_property
    def people(self) -> Names:
        """What the people of the scope are called."""
        return people_names(self.whole)

    @property
    def tasks(self) -> AsyncTaskQuerySet[AsyncTask]:
        """The person's tasks of the chosen range, before the other filters."""
        mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(self.scope)
        return mine.within(self.chosen_range(self.now))

    @cached_property
    def selection(self) -> Selection:
        """What the filters select. A name that nobody has selects nothing."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        types, statuses, causes, platforms = (
            tuple(_storable(cleaned.get(name))) for name in ("type", "status", "cause", "platform")
        )
        return Selection(
            chosen=self.chosen_range(self.now),
            statuses=statuses,
            types=types,
            platforms=platforms,
            tokens=self._ids("token", self.tokens),
            models=self._ids("model", self.models),
            groups=self._ids("group", self.groups),
            causes=causes,
        )

    @property
    def conditions(self) -> Q:
        """What the filters but the range ask of a task."""
        return self.selection.dimensions

    @property
    def ordered_by(self) -> str:
        """The order of the list, where it is not newest first."""
        self.form.is_valid()
        return str(self.form.cleaned_data.get("order") or "")

    @property
    def is_by_attention(self) -> bool:
        """Whether what failed and what runs comes first."""
        return self.ordered_by == ATTENTION

    def _ids(self, name: str, known: Names) -> tuple[int, ...]:
        names = _storable(self.form.cleaned_data.get(name))
        return tuple(identifier for one in names for identifier in known.get(one, (_NOTHING,)))

    @cached_property
    def seen(self) -> Seen:
        """What the person's tasks were made with, as the counts have it."""
        chosen = self.chosen_range(self.now)
        return Seen(*counts.seen(self.scope, chosen, "platform", "model_id", "group_id"))

    @cached_property
    def models(self) -> Names:
        rows = AIModel.objects.filter(id__in=self.seen.models).order_by("name")
        return Names(rows.values_list("id", "name", "name"))

    @cached_property
    def groups(self) -> Names:
        here = Q(id__in=self.seen.groups)
        merged = Q(id__in=Group.objects.filter(here).values("merged_into"))
        rows = Group.objects.filter(here | merged).annotate(now_called=CALLED)
        return Names(rows.order_by("now_called", "id").values_list("id", "now_called", "name"))

    @cached_property
    def tokens(self) -> Names:
        if self.whole.is_whole:
            return token_names(self.whole)
        return token_names(self.whole, *counts.seen(self.whole, self.chosen_range(self.now), "token_id"))

    @property
    def is_key_searched(self) -> bool:
        """Whether an API key was pasted where an ID belongs."""
        return pasted.is_key(self.searched_id)

    @property
    def problems(self) -> list[str]:
        return super().problems + [
            _("You have no token called “%(name)s”.") % {"name": name}
            for name in self.form.cleaned_data.get("token") or ()
            if name not in self.tokens
        ]


def _storable(names: Iterable[str] | None) -> list[str]:
    """Return names as they could be in the database, which holds no NUL: such a name is nobody's."""
    return [name.replace("\x00", "\ufffd") for name in names or ()]
