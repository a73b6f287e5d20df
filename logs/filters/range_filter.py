"""A range of time and nothing else: the filter of pages whose rows are not records."""

from __future__ import annotations

import django_filters
from django.http import QueryDict

from accounts.models import ApiToken
from routescope.data.scopes import Scope
from routescope.filters.fields import MomentFilter
from routescope.filters.filter_set import RANGE_CHOICES, RangeFilterSet


class RangeFilter(RangeFilterSet):
    """``range``, or ``start`` and ``end``; no ID is searched for."""

    range = django_filters.ChoiceFilter(choices=RANGE_CHOICES)
    start = MomentFilter()
    end = MomentFilter()

    id_field = ""

    class Meta:
        model = ApiToken
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, scope: Scope) -> None:
        super().__init__(data, queryset=ApiToken.objects.none(), scope=scope)

    @property
    def searched_id(self) -> str:
        return ""
