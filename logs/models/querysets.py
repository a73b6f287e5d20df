"""Reading usage records."""

from __future__ import annotations

from datetime import timedelta
from typing import Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast

from logs.models import further_ids
from routescope.data.ids import moment_of
from routescope.data.owned import OwnedQuerySet
from routescope.text.identifiers import former, kept

TOKENS = Cast("input_tokens", models.BigIntegerField()) + F("output_tokens")
"""Input and output together: the sum of two that just fit their columns does not fit theirs."""

_Record = TypeVar("_Record", bound=models.Model)


class UsageRecordQuerySet(OwnedQuerySet[_Record]):
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
        return self.filter(found)

    def by_id(self, identifier: UUID) -> Self:
        """Return the one record with this id, of whichever user, through the index on its time."""
        moment = moment_of(identifier)
        return self.filter(
            id=identifier, created_at__gte=moment, created_at__lt=moment + timedelta(milliseconds=1)
        )
