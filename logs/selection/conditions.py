"""A selection's conditions on records, as SQL that is written by hand."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import FullResultSet
from django.db import connection
from django.db.models import Q

from logs.models import UsageRecord
from logs.selection.chosen import Selection, is_of_none

Sql = tuple[str, list[Any]]
"""A piece of SQL, and the values for it."""


def dimensions(selection: Selection, table: str = "") -> Sql:
    """Return the condition of the filters that index and rollups know, to be put after another.

    ``table`` comes before each column, with its point.
    """
    conditions = []
    for column, values in selection.chosen_values:
        condition = f"{table}{column} = ANY(%s)"
        if is_of_none(column, values):
            condition = f"({condition} OR {table}{column} IS NULL)"
        conditions.append(f" AND {condition}")
    return "".join(conditions), [list(values) for _, values in selection.chosen_values]


def bounds(condition: Q) -> Sql:
    """Return what only ``usage_record`` itself can answer. Raises EmptyResultSet where no record meets it."""
    query = UsageRecord.objects.filter(condition).query
    try:
        sql, values = query.get_compiler(connection=connection).compile(query.where)
    except FullResultSet:
        return "true", []
    return sql, list(values)


def reached(selection: Selection) -> Sql:
    """Return the condition on the rows of a sum, that it may hold what meets the thresholds, to be put after
    another.
    """
    return (
        "".join(f" AND max({bound}) >= %s::numeric" for bound, _least in selection.least),
        [least for _bound, least in selection.least],
    )
