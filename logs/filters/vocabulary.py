"""The names that a person's records are called by, and the ids behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from accounts.identities.names import CALLED, Names, token_names
from accounts.models import AIModel, Group
from logs.models import UsageDay
from routescope.data.scopes import Scope


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a person can filter by: their own tokens, and what their records were made with."""

    tokens: Names
    models: Names
    groups: Names

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """Read it from the tokens and the daily sums; the records themselves are never searched."""
        days = UsageDay.objects.filter(user_id__in=scope.ids)
        models = AIModel.objects.filter(id__in=days.values("model_id")).order_by("name")
        # One that the person's were merged into has a name here too, even without records of its own.
        here = Q(id__in=days.values("group_id"))
        merged = Q(id__in=Group.objects.filter(here).values("merged_into"))
        groups = Group.objects.filter(here | merged).annotate(now_called=CALLED)
        return cls(
            tokens=token_names(scope),
            models=Names(models.values_list("id", "name", "name")),
            groups=Names(groups.order_by("now_called", "id").values_list("id", "now_called", "name")),
        )
