"""What people sent and models answered: apart from the records, under a policy, encrypted, for some days.

A table of its own, partitioned by day: expired content goes by dropping partitions. A body is JSON with
``input`` and ``output``, compressed, then encrypted (`routescope.encryption`).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import connection, models
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import ApiToken, ErrorTexts, Group
from logs.models.content import TABLE, Level, UsageContent
from routescope import encryption
from routescope.data import partitions, room
from routescope.data.ids import moment_of
from routescope.data.partitions import Day
from routescope.text.redaction import redacted_json
from routescope.wire.reading import cut, shortened

_CUTS = (20_000, 4_000, 1_000, 200)
_INSERT = f"""
    INSERT INTO {TABLE} (id, user_id, level, input_bytes, output_bytes, is_truncated, key_id, body)
    SELECT * FROM unnest(%s::uuid[], %s::int[], %s::smallint[], %s::int[], %s::int[], %s::bool[], %s::text[],
        %s::bytea[])
    ON CONFLICT DO NOTHING
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that can apply to a batch."""

    gateway: int | None
    groups: dict[int, int]
    tokens: dict[int, int]
    error_texts: ErrorTexts = ErrorTexts.KEEP

    @classmethod
    def of(cls, gateway_id: int) -> Policies:
        """Read them: one query. They are few, and each is one that an admin made."""
        gateway: int | None = None
        groups: dict[int, int] = {}
        tokens: dict[int, int] = {}
        texts = ErrorTexts.KEEP
        with connection.cursor() as cursor:
            # By hand, as every batch asks this: the query set takes longer to build than its answer to come.
            cursor.execute(
                "SELECT gateway_id, group_id, token_id, level FROM logs_contentpolicy"
                " WHERE gateway_id = %s OR gateway_id IS NULL"
                " UNION ALL SELECT NULL, NULL, NULL, error_texts FROM accounts_gateway WHERE id = %s",
                [gateway_id, gateway_id],
            )
            rows = cursor.fetchall()
        for of_gateway, group, token, level in rows:
            if of_gateway == gateway_id:
                gateway = level
            elif group is not None:
                groups[group] = level
            elif token is not None:
                tokens[token] = level
            else:
                texts = ErrorTexts(level)
        return cls(gateway, _of_whole(Group, groups), _of_whole(ApiToken, tokens), texts)

    def level(self, group_id: int | None, token_id: int | None) -> Level:
        """Return the strictest of the policies that apply; OFF where none does."""
        applying = (self.gateway, self.groups.get(group_id or 0), self.tokens.get(token_id or 0))
        return Level(min((level for level in applying if level is not None), default=Level.OFF))


def _of_whole(kind: type[Group] | type[ApiToken], levels: dict[int, int]) -> dict[int, int]:
    """Give each part of what is one by a merge the strictest level of them all."""
    if not levels:
        return levels
    some = list(levels)
    # One statement: a merge may come or go between two.
    parts = kind._default_manager.filter(
        models.Q(pk__in=some)
        | models.Q(merged_into__in=some)
        | models.Q(absorbed__in=some)
        | models.Q(merged_into__absorbed__in=some)
    )
    whole = dict(parts.values_list("pk", Coalesce("merged_into", "pk")))
    strictest: dict[int, int] = {}
    for one, level in levels.items():
        of = whole.get(one, one)
        strictest[of] = min(level, strictest.get(of, level))
    return levels | {one: strictest[of] for one, of in whole.items() if of in strictest}


@dataclass(frozen=True, slots=True)
class Captured:
    """Content that is to be stored, with the sizes it had.

    Its sides are JSON, or what `captured` makes of it: bytes, as the contents of a batch wait for each other,
    and built they would take many times the room.
    """

    id: UUID
    user_id: int
    level: Level
    input: Any
    output: Any
    input_bytes: int | None
    output_bytes: int | None
    is_truncated: bool = False


def captured(
    identifier: UUID,
    user_id: int,
    level: Level,
    given: Any,
    answered: Any,
    input_bytes: int | None,
    output_bytes: int | None,
) -> Captured:
    """Make content ready to be stored at a level: cut to ``CONTENT_MAX_BYTES`` a side, and then redacted."""
    given, is_cut = _ready(given, level)
    answered, is_cut_too = _ready(answered, level)
    truncated = is_cut or is_cut_too
    return Captured(identifier, user_id, level, given, answered, input_bytes, output_bytes, truncated)


def _ready(value: Any, level: Level) -> tuple[msgspec.Raw | None, bool]:
    if value is None:
        return None, False
    value, is_cut = _fitted(value, settings.CONTENT_MAX_BYTES)
    if level is Level.REDACTED:
        # Once it is cut: what is left out need not be gone through.
        value = redacted_json(value)
    return msgspec.Raw(msgspec.json.encode(value)), is_cut


@dataclass(frozen=True, slots=True)
class Content:
    """Stored content, readable again."""

    level: Level
    input: Any
    output: Any
    input_bytes: int | None
    output_bytes: int | None
    is_truncated: bool


def store(captured: Sequence[Captured]) -> None:
    """Write content, where need be into new partitions, in the caller's transaction."""
    make_room(captured)
    write(captured)


def make_room(captured: Iterable[Captured]) -> None:
    """Make the partitions of content, before the transaction that writes it: that would hold their locks."""
    days = {Day.of(moment_of(content.id)) for content in captured if not is_expired(content.id)}
    if days:
        partitions.ensure(TABLE, days)


def write(captured: Iterable[Captured]) -> None:
    """Write content, in the caller's transaction. What is there stays; what has expired is not kept."""
    captured = [content for content in captured if not is_expired(content.id)]
    if not captured:
        return
    rows = [_row(content) for content in captured]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])


def complete(users: Mapping[UUID, int], moves: Mapping[UUID, UUID], later: Sequence[Captured]) -> None:
    """Take up what later parts of records brought: content that was not there yet, and earlier times.

    ``users`` are by the records' ids until now, ``moves`` the ids that they have from now on. Under the
    stricter of the two levels. Content that no key fits makes way for what came now.
    """
    rows = list(UsageContent.objects.filter(id__in=list(users)))
    known = {row.id: _content(row) for row in rows if users[row.id] == row.user_id}
    came = {content.id: content for content in later}
    written = []
    for identifier, moved in moves.items():
        old, new = known.get(identifier), came.get(identifier)
        if new is None and (old is None or moved == identifier):
            continue
        if old is None and new is not None:
            written.append(replace(new, id=moved))
        elif old is not None:
            written.append(_together(moved, users[identifier], old, new))
        UsageContent.objects.filter(id=identifier, user_id=users[identifier]).delete()
    store(written)


def hand_on(gone: Sequence[tuple[UUID, int, tuple[UUID, int] | None]]) -> None:
    """Give the content of records that are one with others to these: id, user, and id and user of what stays.

    Where that is None the content goes with its record, as does content that no key fits.
    """
    rows = {
        row.id: row for row in UsageContent.objects.filter(id__in=[identifier for identifier, _, _ in gone])
    }
    for identifier, user_id, stays in gone:
        row = rows.get(identifier)
        if row is None or row.user_id != user_id:
            continue
        content = _content(row)
        UsageContent.objects.filter(id=identifier, user_id=user_id).delete()
        if stays is None or content is None:
            continue
        new_id, new_user = stays
        came = captured(
            new_id,
            new_user,
            content.level,
            content.input,
            content.output,
            content.input_bytes,
            content.output_bytes,
        )
        other = UsageContent.objects.filter(id=new_id, user_id=new_user).first()
        known = _content(other) if other is not None else None
        if other is not None:
            UsageContent.objects.filter(id=new_id, user_id=new_user).delete()
        store([came if known is None else _together(new_id, new_user, known, came)])


def _together(identifier: UUID, user_id: int, old: Content, new: Captured | None) -> Captured:
    level = old.level if new is None else min(old.level, new.level)
    both = captured(
        identifier,
        user_id,
        level,
        old.input if old.input is not None or new is None else _built(new.input),
        old.output if old.output is not None or new is None else _built(new.output),
        old.input_bytes if old.input_bytes is not None or new is None else new.input_bytes,
        old.output_bytes if old.output_bytes is not None or new is None else new.output_bytes,
    )
    was_cut = old.is_truncated or (new is not None and new.is_truncated)
    return replace(both, is_truncated=both.is_truncated or was_cut)


def _built(side: Any) -> Any:
    return msgspec.json.decode(side) if isinstance(side, msgspec.Raw) else side


def load(user_id: int, identifiers: Iterable[UUID]) -> dict[UUID, Content | None]:
    """Return the stored content of a user's records by their ids; None where no configured key fits."""
    rows = UsageContent.objects.filter(user_id=user_id, id__in=list(identifiers))
    return {row.id: _content(row) for row in rows}


def expires_at(identifier: UUID) -> datetime:
    """Return when a record's content is dropped: with its day's partition."""
    return Day.of(moment_of(identifier)).plus(settings.CONTENT_RETENTION_DAYS + 1).start


def is_expired(identifier: UUID) -> bool:
    return expires_at(identifier) <= timezone.now()


def rotate(batch: int = 200) -> tuple[int, int]:
    """Re-encrypt what is not under the first key; return how many rows, and how many no key fits.

    Commits every ``batch`` rows; may be broken off and run again. Raises NoRoomError.
    """
    current = encryption.key_id()
    done = lost = 0
    after = UUID(int=0)
    while True:
        rows = list(UsageContent.objects.filter(id__gt=after).exclude(key_id=current).order_by("id")[:batch])
        if not rows:
            return done, lost
        with room.for_records():
            for row in rows:
                after = row.id
                try:
                    body = _raw(encryption.rotate(_token(bytes(row.body))))
                except encryption.DecryptionError:
                    lost += 1
                    continue
                UsageContent.objects.filter(user_id=row.user_id, id=row.id).update(body=body, key_id=current)
                done += 1


def _content(row: UsageContent) -> Content | None:
    try:
        body = msgspec.json.decode(zlib.decompress(encryption.decrypt(_token(bytes(row.body)))))
    except encryption.DecryptionError:
        return None
    return Content(
        Level(row.level),
        body.get("input"),
        body.get("output"),
        row.input_bytes,
        row.output_bytes,
        row.is_truncated,
    )


def _row(content: Captured) -> tuple[Any, ...]:
    sides: dict[str, Any] = {}
    truncated = content.is_truncated
    for name, value in (("input", content.input), ("output", content.output)):
        if value is not None:
            fits = isinstance(value, msgspec.Raw)
            sides[name], is_cut = (value, False) if fits else _fitted(value, settings.CONTENT_MAX_BYTES)
            truncated = truncated or is_cut
    body = _raw(encryption.encrypt(zlib.compress(msgspec.json.encode(sides), 3)))
    return (
        content.id,
        content.user_id,
        int(content.level),
        content.input_bytes,
        content.output_bytes,
        truncated,
        encryption.key_id(),
        body,
    )


def _fitted(value: Any, most: int) -> tuple[Any, bool]:
    """Return a value of at most ``most`` bytes of JSON, and whether it was cut: long texts first."""
    if len(msgspec.json.encode(value)) <= most:
        return value, False
    for longest in _CUTS:
        shorter = _shortened(value, longest)
        if len(msgspec.json.encode(shorter)) <= most:
            return shorter, True
    text = msgspec.json.encode(value)[:most].decode(errors="ignore")
    return {"truncated": cut(text, len(text) - 1)}, True


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return shortened(value, longest)
    if isinstance(value, list):
        return [_shortened(inner, longest) for inner in value]
    if isinstance(value, dict):
        return {key: _shortened(inner, longest) for key, inner in value.items()}
    return value


def _raw(token: bytes) -> bytes:
    # A Fernet token is base64: a third of the space for nothing in a bytea.
    return base64.urlsafe_b64decode(token)


def _token(body: bytes) -> bytes:
    return base64.urlsafe_b64encode(body)
