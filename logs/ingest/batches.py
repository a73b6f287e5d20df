"""The one way in: every record, from whichever format, is stored here.

Check, resolve names, judge the cause, COPY the records with what they add to the sums, commit. When ``store``
returns, the records are kept; when it raises, none of them is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import attrgetter
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from accounts.identities import token_facts
from accounts.identities.resolving import ResolvedNames, resolve
from accounts.models import AIModel, Gateway, GroupIdentity
from accounts.scopes import told_teams
from logs.causes.judging import judge
from logs.content import contents, policy
from logs.ingest import answering, beside, sessions, storable
from logs.ingest.beside import Beside
from logs.ingest.rows import COLUMNS, TABLE, insert, remove, row_of, update
from logs.models import UsageRecord
from logs.models.events import Batch, Rejection, UsageEvent
from logs.pricing.quotes import price_events
from routescope.data import partitions
from routescope.data.apart import NotThereError
from routescope.data.ids import moved_id
from routescope.data.partitions import Month
from routescope.wire.reading import RecordError

logger = logging.getLogger(__name__)

MAX_AHEAD = timedelta(days=1)
"""How far ahead of our clock a gateway's may run."""

_MOST_PARTS = 64
"""Into which a batch is taken apart to find what the checks let through: more than a few are no accident."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: new records, records that were here already, and refused ones.

    ``faults`` counts records that are not kept through a fault of ours, which the log tells: the client is to
    send the batch again.
    """

    accepted: int
    duplicates: int
    rejected: Sequence[Rejection]
    faults: int = 0


def store(gateway: Gateway, batch: Batch) -> Outcome:
    """Store a batch and its sums, and commit.

    Records that cannot be stored, or lie outside the accepted time, are refused one by one; the others are
    kept. Raises OperationalError if the database cannot be reached: then nothing is kept, and the client may
    send the same batch again.
    """
    now = timezone.now()
    oldest = Month.of(now).plus(-settings.RECORD_RETENTION_MONTHS).start
    rejected = list(batch.rejected)
    sound = []
    for index, event in batch.events:
        try:
            _check_time(event.created_at, oldest, now)
            storable.check(event)
        except RecordError as error:
            rejected.append(Rejection(index=index, request_id=event.request_id, error=str(error)))
        else:
            sound.append((index, event))
    accepted, refused, faults = _store(gateway, sound)
    _keep_token_facts(gateway, [event for _, event in sound if event.token_facts is not None])
    rejected += refused
    rejected.sort(key=lambda rejection: rejection.index)
    duplicates = len(sound) - len(refused) - faults - accepted
    return Outcome(accepted, duplicates, rejected, batch.faults + faults)


def _keep_token_facts(gateway: Gateway, events: Sequence[UsageEvent]) -> None:
    """Keep what records say of their tokens, of each the last: beside the records, which are committed."""
    told: dict[tuple[str, str], UsageEvent] = {}
    for event in sorted(events, key=attrgetter("created_at")):
        told[event.user, event.token] = event
    if told:
        names = _names(gateway, list(told.values()))
        token_facts.keep(
            gateway,
            {
                names.tokens[names.users[event.user], event.token]: (event.token_facts, event.created_at)
                for event in told.values()
                if event.token and event.token_facts is not None
            },
        )


def complete(
    gateway: Gateway,
    completions: Sequence[tuple[UsageRecord, UsageEvent]],
    places: dict[UUID, tuple[UUID, int]] | None = None,
) -> dict[int, str]:
    """Give records that are here already the values of events that say more; the sums follow.

    Returns by their places why some stay as they are: what they would become cannot be stored. ``places`` is
    told id and user of the others from now on, by the ids until now.

    A record keeps its type, and its user unless that is nobody and the event names one; one that began
    earlier than was known moves there. The caller holds the transaction, in which nobody else may complete
    the same records.
    """
    sound: list[tuple[UsageRecord, UsageEvent]] = []
    unfit: dict[int, str] = {}
    for place, (record, event) in enumerate(completions):
        try:
            storable.check(event)
            storable.encoded(event)
        except RecordError as error:
            unfit[place] = str(error)
        else:
            sound.append((record, event))
    if sound:
        found = _complete(gateway, sound)
        if places is not None:
            places.update(found)
    return unfit


def _complete(
    gateway: Gateway, completions: Sequence[tuple[UsageRecord, UsageEvent]]
) -> dict[UUID, tuple[UUID, int]]:
    names = _names(gateway, [event for _, event in completions])
    months = {Month.of(event.created_at) for _, event in completions}
    partitions.ensure(TABLE, months)
    given = _given(gateway, names, completions)
    told_teams.keep(gateway, _seen(gateway, names, completions, given))
    places = {
        record.pk: (moved_id(record.pk, event.created_at), given.get(record.pk, record.user_id))
        for record, event in completions
    }
    for record, event in completions:
        _keep_what_is_known(names, record, event, is_given=record.pk in given)
    events = [event for _, event in completions]
    _judge(events)
    captured = policy.apply(gateway.pk, names, events, [record for record, _ in completions])
    answering.tell(events)
    sessions.tell(events)
    price_events(events, names.models, names.groups)
    rows: list[tuple[Any, ...]] = []
    handed: list[tuple[Any, ...]] = []
    for record, event in completions:
        new_id, user_id = places[record.pk]
        is_given = record.pk in given
        if is_given:
            event.content = max(record.content or 0, event.content or 0) or None
        kept: dict[str, Any] = {
            "id": new_id.bytes if is_given else record.pk.bytes,
            "user_id": user_id,
            "type": record.type,
        }
        row = row_of(gateway.pk, names, event)
        values = tuple(kept.get(column, value) for column, value in zip(COLUMNS, row, strict=True))
        (handed if is_given else rows).append(values)
    update(rows)
    if given:
        remove([(record.user_id, record.pk) for record, _ in completions if record.pk in given])
        insert(handed, [], led_elsewhere=False, found_by=Beside())
        contents.hand_on([(r.pk, r.user_id, places[r.pk]) for r, _ in completions if r.pk in given])
        captured = [
            replace(one, id=places[one.id][0], user_id=given[one.id]) if one.id in given else one
            for one in captured
        ]
    here = {new_id if pk in given else pk: user_id for pk, (new_id, user_id) in places.items()}
    moves = {new_id if pk in given else pk: new_id for pk, (new_id, _) in places.items()}
    contents.complete(here, moves, captured)
    beside.completed(completions, places, months)
    return places


def _given(
    gateway: Gateway, names: ResolvedNames, completions: Sequence[tuple[UsageRecord, UsageEvent]]
) -> dict[UUID, int]:
    """Return the users to whom records of nobody's are given, by their ids."""
    others = [
        (record, names.users[event.user])
        for record, event in completions
        if event.user and names.users[event.user] != record.user_id
    ]
    if not others:
        return {}
    nobody = nobody_of(gateway)
    return {record.pk: user_id for record, user_id in others if record.user_id == nobody}


def _seen(
    gateway: Gateway,
    names: ResolvedNames,
    completions: Sequence[tuple[UsageRecord, UsageEvent]],
    given: Mapping[UUID, int],
) -> Iterator[tuple[str, int, datetime]]:
    """Yield whose completed records are of which of the gateway's groups, and of what time.

    A group that the record had while it was nobody's is known by the one name that leads there.
    """
    nobody = cache(partial(nobody_of, gateway))
    for record, event in completions:
        user_id = given.get(record.pk, record.user_id)
        group = event.group
        if not group and record.pk in given and record.group_id:
            leading = GroupIdentity.objects.filter(gateway=gateway, group=record.group_id).order_by("pk")
            found = list(leading.values_list("name", flat=True)[:2])
            group = found[0] if len(found) == 1 else ""
        is_named = bool(event.user) and names.users[event.user] == user_id
        if group and (is_named or user_id != nobody()):
            yield group, user_id, event.created_at


def nobody_of(gateway: Gateway) -> int:
    """Return the user to whom a gateway's records belong that name nobody."""
    return resolve(gateway, users_and_tokens=[("", "")], groups=(), models=()).users[""]


def take_away(gone: Sequence[tuple[UsageRecord, tuple[UUID, int] | None]]) -> None:
    """Delete records that are one with others, or were none; the sums follow, in the caller's transaction.

    Each comes with the id and the user of the record that stays, to which its content goes.
    """
    remove([(record.user_id, record.pk) for record, _ in gone])
    beside.taken_away(record for record, _ in gone)
    contents.hand_on([(record.pk, record.user_id, stays) for record, stays in gone])


def _keep_what_is_known(
    names: ResolvedNames, record: UsageRecord, event: UsageEvent, *, is_given: bool
) -> None:
    """Have the event name the record's token, group and model, where it says none or may not say one.

    By these it is priced, and by these its policies apply. No gateway's name begins with NUL. A record
    that was nobody's and ``is_given`` to somebody has nobody's token no more.
    """
    if not is_given and (record.token_id or record.user_id != names.users[event.user]):
        # A token belongs to one user.
        event.token = f"\0{record.token_id}" if record.token_id else ""
    if not is_given and record.token_id:
        names.tokens[names.users[event.user], event.token] = record.token_id
    if not event.group and record.group_id:
        event.group = f"\0{record.group_id}"
        names.groups[event.group] = record.group_id
    if not event.model and (model := cast("AIModel | None", record.model)):
        event.model = model.name
        names.models[event.model] = model.pk


def _check_time(moment: datetime, oldest: datetime, now: datetime) -> None:
    if moment > now + MAX_AHEAD:
        raise RecordError(
            f"created_at: {moment.isoformat()} lies more than a day ahead; check the sender's clock"
        )
    if moment < oldest:
        raise RecordError(
            f"created_at: {moment.isoformat()} is older than records are kept here ({oldest:%Y-%m-%d})"
        )


def _store(gateway: Gateway, events: Sequence[tuple[int, UsageEvent]]) -> tuple[int, list[Rejection], int]:
    """Return how many records are new, those that cannot be stored, and how many are not through our fault.

    The whole batch at once; where something in it is amiss, in halves until that stands alone. A value that
    PostgreSQL refuses is the record's own; any other error is ours, and never told as the record's. Raises
    that error where it is found in more than a few parts.
    """
    accepted = faults = parts = 0
    refused: list[Rejection] = []
    waiting = [events] if events else []
    while waiting:
        some = waiting.pop()
        parts += 1
        try:
            new, unfit = _commit(gateway, [event for _, event in some])
        except (OperationalError, InterfaceError, NotThereError):
            raise
        except Exception as error:
            if parts > _MOST_PARTS:
                raise
            if len(some) > 1:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
                continue
            [(index, event)] = some
            if isinstance(error, DataError):
                reason = f"cannot be stored: {str(error).splitlines()[0]}"
                refused.append(Rejection(index=index, request_id=event.request_id, error=reason))
            else:
                faults += 1
                logger.exception("Record %s could not be stored through a fault of ours", event.request_id)
        else:
            accepted += new
            for place, reason in unfit.items():
                index, event = some[place]
                refused.append(Rejection(index=index, request_id=event.request_id, error=reason))
    return accepted, refused, faults


def _commit(gateway: Gateway, events: Sequence[UsageEvent]) -> tuple[int, dict[int, str]]:
    """Return how many are new, and by their places why some cannot be stored."""
    if not connection.in_atomic_block:
        return _store_named(gateway.pk, _named(gateway, events), events)
    # What fails must leave the caller's transaction as it was.
    with transaction.atomic():
        return _store_named(gateway.pk, _named(gateway, events), events)


def store_named(gateway_id: int, names: ResolvedNames, events: Sequence[UsageEvent]) -> int:
    """Store events whose names are resolved; return how many are new. All of them are kept, or none.

    Takes part in the caller's transaction, if there is one. Raises RecordError or DataError for a value that
    cannot be stored.
    """
    for event in events:
        storable.check(event)
    new, unfit = _store_named(gateway_id, names, events)
    if unfit:
        raise RecordError("; ".join(unfit.values()))
    return new


def _store_named(
    gateway_id: int, names: ResolvedNames, events: Sequence[UsageEvent]
) -> tuple[int, dict[int, str]]:
    found = {(at.year, at.month) for event in events if (at := event.created_at.astimezone(UTC))}
    months = {Month(year, month) for year, month in found}
    partitions.ensure(TABLE, months)
    _judge(events)
    captured = policy.apply(gateway_id, names, events)
    contents.make_room(captured)
    answering.tell(events)
    sessions.tell(events)
    price_events(events, names.models, names.groups)
    rows = []
    found_by = Beside()
    unfit: dict[int, str] = {}
    for place, event in enumerate(events):
        try:
            rows.append(row := row_of(gateway_id, names, event))
        except RecordError as error:
            unfit[place] = str(error)
        else:
            found_by.note(row[0], row[2], event)
    found_by.prepare(months)
    return insert(rows, captured, names.led_elsewhere, found_by), unfit


def _judge(events: Iterable[UsageEvent]) -> None:
    """Judge why calls failed, while their errors have all their words."""
    for event in events:
        event.cause = judge(event)


def _named(gateway: Gateway, events: Sequence[UsageEvent]) -> ResolvedNames:
    """Return what the names of new records lead to, once their groups' teams know whom they name."""
    names = _names(gateway, events)
    seen = ((one.group, names.users[one.user], one.created_at) for one in events if one.user and one.group)
    told_teams.keep(gateway, seen)
    return names


def _names(gateway: Gateway, events: Sequence[UsageEvent]) -> ResolvedNames:
    return resolve(
        gateway,
        users_and_tokens=((event.user, event.token) for event in events),
        groups=(event.group for event in events),
        models=(event.model for event in events),
    )
