"""The names that a scope's records are called by, and the ids behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from accounts.identities.names import CALLED, Names, people_names, token_names
from accounts.models import AIModel, Group
from logs.models import UsageDay
from logs.rollups import own_sums
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that records can be filtered by: tokens, what they were made with, and whose they are."""

    tokens: Names
    models: Names
    groups: Names
    people: Names

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """Read it from the tokens and the daily sums; the records themselves are never searched.

        Of everybody's all models and groups: each came with a record, or an admin entered it. Of people who
        came or left, what was recorded meanwhile.
        """
        used_models, used_groups, tokens = Q(), Q(), None
        if not scope.is_whole:
            columns = ("token_id", "model_id", "group_id")
            rows = list(own_sums.grouped(scope, Selection(), *columns))
            tokens, models_seen, groups_seen = ({row[column] for row in rows} for column in columns)
            used_models, used_groups = Q(id__in=models_seen), Q(id__in=groups_seen)
        elif not scope.is_everyone:
            days = UsageDay.objects.filter(user_id__in=scope.ids)
            used_models, used_groups = Q(id__in=days.values("model_id")), Q(id__in=days.values("group_id"))
        models = AIModel.objects.filter(used_models).order_by("name")
        # One that the person's were merged into has a name here too, even without records of its own.
        merged = Q(id__in=Group.objects.filter(used_groups).values("merged_into"))
        groups = Group.objects.filter(used_groups | merged if used_groups else Q()).annotate(
            now_called=CALLED
        )
        return cls(
            tokens=token_names(scope, tokens),
            models=Names(models.values_list("id", "name", "name")),
            groups=Names(groups.order_by("now_called", "id").values_list("id", "now_called", "name")),
            people=people_names(scope),
        )
