"""Reading usage records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

from accounts.gateways.error_texts import NOT_KEPT
from logs.models import further_ids
from logs.models.marks import ANSWERED_BY, ASKED_FOR
from routescope.data.ids import MILLISECOND, first_id, moment_of
from routescope.data.keyset import Cursor
from routescope.data.owned import OwnedQuerySet
from routescope.data.ranges import TimeRange
from routescope.text.identifiers import former, kept

TOKENS = Cast("input_tokens", models.BigIntegerField()) + F("output_tokens")
"""Input and output together: the sum of two that just fit their columns does not fit theirs."""

_Record = TypeVar("_Record", bound=models.Model)
Key = tuple[int, UUID]
"""A record's user and id."""


def time_range(chosen: TimeRange) -> Q:
    """Return the condition that a record's time is in a range, to the millisecond as its id has it."""
    condition = Q()
    if chosen.start is not None:
        condition &= Q(created_at__gte=moment_of(first_id(chosen.start)))
    if chosen.end is not None:
        condition &= Q(created_at__lt=moment_of(first_id(chosen.end)))
    return condition


class UsageRecordQuerySet(OwnedQuerySet[_Record]):
    """Everybody's records are found by their time: an index on the id alone would be walked for the few
    records of one user (see the table's migration).
    """

    _is_of_one_id = False

    def _clone(self) -> Self:
        clone = super()._clone()
        clone._is_of_one_id = self._is_of_one_id
        return clone

    def _unquote(self, row: _Record) -> None:
        """An error's words go, and what a gateway added but which model answered; its type, code and
        parameter stay. Where a person was and what they worked with goes, too.
        """
        kept = row.__dict__
        if kept.get("error_message", True):
            kept["error_message"] = NOT_KEPT
        tries = kept.get("attempts")
        kept["attempts"] = [
            {key: value for key, value in one.items() if key not in ("error", "message")}
            for one in (tries if isinstance(tries, list) else ())
            if isinstance(one, dict)
        ] or None
        told = kept.get("metadata")
        named = {name: told[name] for name in (ASKED_FOR, ANSWERED_BY) if name in told} if told else None
        kept["metadata"] = named or None
        kept["ip"] = kept["user_agent"] = None

    @property
    def _is_of_everyone(self) -> bool:
        return self._scope is not None and self._scope.is_everyone

    def within(self, chosen: TimeRange) -> Self:
        found = super().within(chosen)
        return found.filter(time_range(chosen)) if self._is_of_everyone else found

    def of_keys(self, keys: Sequence[Key]) -> Self:
        """Return the rows with these keys, as far as they are visible: of many users by users and ids."""
        ids = [identifier for _user_id, identifier in keys]
        if self._scope is None or self._scope.is_of_few:
            found = self.filter(id__in=ids)
            # Within their range too: other partitions are then not even thought of.
            return found.filter(id__gte=min(ids), id__lte=max(ids)) if ids else found
        users = [user_id for user_id, _id in keys]
        pairs = "(usage_record.user_id, usage_record.id) IN (SELECT * FROM unnest(%s::integer[], %s::uuid[]))"
        return self.filter(RawSQL(pairs, [users, ids], output_field=models.BooleanField()))  # noqa: S611

    def newest(self, cursor: Cursor, limit: int) -> Self:
        if not self._is_of_everyone or self._is_of_one_id:
            # Those of one ID are few: offered an order that an index has, the planner walks it.
            return super().newest(cursor, limit)
        rows = self
        if cursor.newer:
            rows = rows.filter(id__gt=cursor.newer, created_at__gte=moment_of(cursor.newer))
        elif cursor.older:
            until = moment_of(cursor.older) + MILLISECOND
            rows = rows.filter(id__lt=cursor.older, created_at__lt=until)
        # Two steps: along the time to the millisecond of the last row, and from there in the order of ids,
        # which differs from that of the time within a millisecond.
        order = "created_at" if cursor.newer else "-created_at"
        times = rows.order_by(order).values_list("created_at", flat=True)
        edge = times[limit - 1 : limit].first() if limit else None
        if edge is not None:
            edge = moment_of(first_id(edge))
            rows = (
                rows.filter(created_at__lt=edge + MILLISECOND)
                if cursor.newer
                else rows.filter(created_at__gte=edge)
            )
        return rows.order_by("id" if cursor.newer else "-id")[:limit]

    def identified_by(self, identifier: str) -> Self:
        """Return the records, of all time, that carry this ID: the request's, ours or the provider's, or that
        of their trace or a span (`logs.models.further_ids`).
        """
        identifier = kept(identifier)
        found = Q(request_id=identifier) | Q(upstream_request_id=identifier)
        if cut := former(identifier):
            found |= Q(request_id=cut)
        if places := further_ids.records_of(identifier):
            # By the key, which begins with the user.
            users, ids = zip(*places, strict=True)
            found |= Q(user_id__in=set(users), id__in=ids)
        rows = self.filter(found)
        rows._is_of_one_id = True
        return rows

    def by_id(self, identifier: UUID) -> Self:
        """Return the one record with this id, of whichever user, through the index on its time."""
        moment = moment_of(identifier)
        return self.filter(
            id=identifier, created_at__gte=moment, created_at__lt=moment + timedelta(milliseconds=1)
        )
