"""Judging stored failures anew after the rules of causes have changed."""

from __future__ import annotations

from datetime import datetime

from logs.causes.judging import verdict_on
from logs.maintenance.amend import Amendment, amend, hours_with, records_of
from logs.models import FAILED, Cause


def rejudge(since: datetime | None = None) -> int:
    """Judge every failed record (from the hour of ``since`` on) by today's rules; return how many changed.

    The sums by cause follow in the same transactions. May be broken off and run again: what is right stays.
    """
    changed = 0
    for hour in hours_with(FAILED, since):
        for records in records_of(hour, FAILED):
            amendments = []
            for record in records:
                verdict = verdict_on(record)
                cause = verdict.cause if verdict else Cause.NONE
                if cause != record.cause:
                    amendments.append(Amendment(record.user_id, record.id, cause, record.cost))
            changed += amend(amendments)
    return changed
