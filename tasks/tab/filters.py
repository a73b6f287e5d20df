"""The Task Logs filters: from a query string to conditions on tasks, or to one task ID."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import django_filters
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l

from accounts.identities.names import Names, token_names
from accounts.models import AIModel, User
from routescope.data.ranges import Preset
from routescope.filters.fields import MomentFilter, NamesFilter
from routescope.filters.filter_set import RANGE_CHOICES, RangeFilterSet
from routescope.text import pasted
from tasks.models import AsyncTask, TaskStatus, TaskType
from tasks.models.querysets import AsyncTaskQuerySet
from tasks.providers.catalogue import Catalogue

NARROWING = ("type", "status", "platform", "model", "token")
"""The filters besides the range of time."""
_NOTHING = -1


class TaskFilter(RangeFilterSet):
    """Filters of async tasks. Values are names, as a person reads and shares them in a URL."""

    range = django_filters.ChoiceFilter(choices=RANGE_CHOICES)
    start = MomentFilter()
    end = MomentFilter()
    type = django_filters.MultipleChoiceFilter(label=_l("Type"), choices=TaskType.choices)
    status = django_filters.MultipleChoiceFilter(label=_l("Status"), choices=TaskStatus.choices)
    platform = NamesFilter(label=_l("Platform"))
    model = NamesFilter(label=_l("Model"))
    token = NamesFilter(label=_l("Token"))
    task_id = django_filters.CharFilter()

    # Tasks are far fewer than calls, and one comes back to them after days.
    default_range = Preset.WEEK

    id_field = "task_id"

    class Meta:
        model = AsyncTask
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, user: User, catalogue: Catalogue) -> None:
        super().__init__(data, queryset=AsyncTask.objects.visible_to(user))
        self.user = user
        self.catalogue = catalogue
        self.now = timezone.now()

    @cached_property
    def searched_id(self) -> str:
        """The task ID searched for, freed of the quotes and labels it is copied with; or nothing."""
        self.form.is_valid()
        typed = self.form.cleaned_data.get("task_id") or ""
        mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(self.user)
        return pasted.found_in(typed, lambda one: mine.identified_by(one).exists(), work="task")

    @property
    def tasks(self) -> AsyncTaskQuerySet[AsyncTask]:
        """The person's tasks of the chosen range, before the other filters."""
        mine: AsyncTaskQuerySet[AsyncTask] = AsyncTask.objects.visible_to(self.user)
        return mine.within(self.chosen_range(self.now))

    @property
    def conditions(self) -> Q:
        """What the other filters ask of a task. A name that nobody has asks for nothing there is."""
        self.form.is_valid()
        cleaned = self.form.cleaned_data
        conditions = Q()
        for name in ("type", "status", "platform"):
            if values := _storable(cleaned.get(name)):
                conditions &= Q(**{f"{name}__in": values})
        if names := _storable(cleaned.get("token")):
            ids = [identifier for name in names for identifier in self.tokens.get(name, (_NOTHING,))]
            conditions &= Q(token_id__in=ids)
        if names := _storable(cleaned.get("model")):
            known = dict(AIModel.objects.filter(name__in=names).values_list("name", "id"))
            conditions &= Q(model_id__in=[known.get(name, _NOTHING) for name in names])
        return conditions

    @cached_property
    def tokens(self) -> Names:
        return token_names(self.user)

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
