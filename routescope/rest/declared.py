"""What an endpoint of the read API declares, and how a request is checked against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import django_filters
import msgspec
from django.http import QueryDict

from routescope.data.scopes import OF
from routescope.filters.fields import MomentFilter, NamesFilter, PairsFilter
from routescope.filters.filter_set import RangeFilterSet
from routescope.rest import kinds
from routescope.rest.kinds import ParameterKind
from routescope.rest.problems import Invalid, ProblemError

DEFAULT_LIMIT = 50
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter. ``many``: it may be repeated. ``is_path``: it stands in the path."""

    name: str
    kind: ParameterKind
    description: str
    many: bool = False
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the read API. ``answer`` is the type of its body; ``query`` an example for people."""

    name: str
    path: str
    summary: str
    description: str
    tag: str
    answer: type[msgspec.Struct]
    parameters: tuple[Parameter, ...] = ()
    query: str = ""
    can_miss: bool = False
    """Whether it may answer 404."""

    @property
    def query_parameters(self) -> list[Parameter]:
        return [parameter for parameter in self.parameters if not parameter.is_path]


@dataclass(frozen=True, slots=True)
class Write:
    """An operation for gateways, which the document names beside the ones that read. ``body`` is a schema."""

    name: str
    path: str
    method: str
    summary: str
    description: str
    tag: str
    body: kinds.Schema
    parameters: tuple[Parameter, ...] = ()


WRITES: dict[str, Write] = {}
ENDPOINTS: dict[str, Endpoint] = {}
"""Every endpoint by its name, in the order in which they were declared."""

PAGING = (
    Parameter(
        "limit", kinds.integer(1, MOST_ROWS), f"Rows of a page; {DEFAULT_LIMIT} where it is not given."
    ),
    Parameter(
        "older", kinds.uuid(), "Continue with rows older than this id: the `older` of the previous page."
    ),
    Parameter(
        "newer",
        kinds.uuid(),
        "Go back to rows newer than this id: the `newer` of a page.",
    ),
)


WHOSE = Parameter(
    OF,
    kinds.text(40),
    "Whose rows: `everyone`, `person:<id>` or `team:<id>`, where you may see these; without it your own.",
)
"""The parameter by which whoever answers for others asks for their rows."""


def declare(endpoint: Endpoint) -> Endpoint:
    """Make an endpoint known to the document. Raises ValueError for a name that is taken."""
    if ENDPOINTS.setdefault(endpoint.name, endpoint) is not endpoint:
        raise ValueError(f"There are two endpoints called {endpoint.name}.")
    return endpoint


def declare_write(write: Write) -> None:
    """Make an operation for gateways known to the document."""
    WRITES[write.name] = write


def parameters_of(
    filters: type[RangeFilterSet], descriptions: Mapping[str, str], without: Iterable[str] = ()
) -> tuple[Parameter, ...]:
    """Return a page's filters as parameters: each filter's own choices and bounds are the parameter's."""
    left_out = {OF, *without}
    return WHOSE, *(
        Parameter(
            name,
            _kind(one),
            descriptions[name],
            many=isinstance(one, django_filters.MultipleChoiceFilter | NamesFilter),
        )
        for name, one in _filters_of(filters).items()
        if name not in left_out
    )


def checked(endpoint: Endpoint, query: QueryDict) -> QueryDict:
    """Return the query with its times made safe.

    Raises ProblemError (400) for a parameter that is unknown, repeated, or of another kind: what would be
    left out of account is said, never passed over.
    """
    known = {parameter.name: parameter for parameter in endpoint.query_parameters}
    problems: list[Invalid] = []
    made = QueryDict(mutable=True)
    for name, values in query.lists():
        parameter = known.get(name)
        if parameter is None:
            problems.append(Invalid(name[:100], f"There is no such parameter: {', '.join(known) or 'none'}."))
            continue
        if len(values) > 1 and not parameter.many:
            problems.append(Invalid(name, "It was given more than once."))
        if len(values) > 100:
            problems.append(Invalid(name, "It was given more than 100 times."))
        faults = dict.fromkeys(fault for value in values if (fault := parameter.kind.check(str(value))))
        problems += [Invalid(name, fault) for fault in faults]
        if not faults:
            made.setlist(name, [_safe(parameter, str(value)) for value in values])
    if problems:
        raise ProblemError(
            400, "The request could not be answered: correct what is listed in errors.", problems
        )
    return made


def _safe(parameter: Parameter, value: str) -> str:
    if parameter.kind.schema.get("format") == "date-time":
        return kinds.read_moment(value) or value
    return value


def _filters_of(filters: type[RangeFilterSet]) -> Mapping[str, django_filters.Filter]:
    # Set by django-filter's metaclass, which its stubs leave out.
    return cast("Mapping[str, django_filters.Filter]", vars(filters)["base_filters"])


def _kind(one: django_filters.Filter) -> ParameterKind:
    if isinstance(one, MomentFilter):
        return kinds.moment()
    if isinstance(one, PairsFilter):
        return kinds.pair(300)
    if isinstance(one, NamesFilter):
        return kinds.text(200)
    if isinstance(one, django_filters.NumberFilter):
        return kinds.number(one.extra.get("min_value"))
    if choices := one.extra.get("choices"):
        return kinds.one_of(str(value) for value, _ in choices)
    return kinds.text()
