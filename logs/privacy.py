"""The content policy at ingest: what of an arriving record is kept, where, and in which words.

Whatever the policy, the record itself holds no secret, and nothing that repeats its content: that is in the
store of content or nowhere. Where nothing may be kept, prose goes from all that is no error too; names and
numbers stay. An error keeps its words, unless the operator chose otherwise for its gateway
(`accounts.error_texts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from accounts import error_texts
from accounts.identities import Names
from accounts.models import ErrorTexts
from logs import contents, echoes
from logs.contents import Captured, Policies
from logs.events import Failure, JSONObject, UsageEvent
from logs.models import Level, UsageRecord
from routescope import prose
from routescope.ids import derived_id
from routescope.reading import built
from routescope.redaction import is_left_alone, mapped, redacted

_ERROR_NAMES = frozenset({"error", "message", "error_message", "detail", "reason"})


def apply(
    gateway_id: int, names: Names, events: Sequence[UsageEvent], records: Sequence[UsageRecord] | None = None
) -> list[Captured]:
    """Clean the events for keeping, and return the content that may be stored.

    Sets ``event.content`` to the level under which content came; None where none was sent. ``records`` are
    those that the events complete, where they do: their content stays theirs.
    """
    policies = Policies.of(gateway_id)
    captured = []
    for number, event in enumerate(events):
        sent = event.input is not None or event.output is not None
        if not sent and not _has_texts(event):
            continue
        user_id = names.users[event.user]
        level = policies.level(
            names.groups[event.group] if event.group else None,
            names.tokens[user_id, event.token] if event.token else None,
        )
        read = sent and _needs(event, level)
        given, answered = (_decoded(event.input), _decoded(event.output)) if read else (None, None)
        _clean(event, level, policies.error_texts, given, answered)
        if not sent:
            continue
        event.content = int(level)
        if level is not Level.OFF:
            if records is None:
                identity = event.identity or event.request_id
                identifier = derived_id(event.created_at, gateway_id, identity, event.type)
            else:
                identifier, user_id = records[number].pk, records[number].user_id
            sizes = _size(event.input), _size(event.output)
            captured.append(contents.captured(identifier, user_id, level, given, answered, *sizes))
    return captured


def _needs(event: UsageEvent, level: Level) -> bool:
    """Whether the content itself must be read: to be kept, or to know what repeats it."""
    return level is not Level.OFF or any((event.error, event.parameters, event.metadata, event.attempts))


def _has_texts(event: UsageEvent) -> bool:
    """Whether something came with the record that may hold a secret, repeat its content or be prose."""
    if event.error or event.parameters or event.metadata or event.attempts:
        return True
    if any(name and not name.isalnum() for name in (event.provider, event.channel, event.user_agent)):
        return True
    if event.endpoint and not prose.is_name(event.endpoint):
        return True
    return event.billing is not None and not is_left_alone(event.billing, prose.is_plain, prose.is_plain_name)


def _clean(event: UsageEvent, level: Level, kept: ErrorTexts, given: Any, answered: Any) -> None:
    off = level is Level.OFF
    message = event.error.message if event.error else None
    said = echoes.texts_of(answered)
    texts = echoes.texts_of(given) + [
        text for text in said if message is None or not echoes.is_said_by(text, message)
    ]
    content = echoes.Echoes(sorted(texts, key=len, reverse=True))
    cut = error_texts.cutter(kept)

    def told(text: str) -> str:
        return cut(redacted(content.without(text) if texts else text))

    def named(text: str) -> str:
        text = redacted(text)
        if texts and (content.holds(text) or (prose.is_prose(text) and content.are_repeated_by(text))):
            return prose.LEFT_OUT
        return text

    if event.error is not None:
        error = event.error
        event.error = Failure(
            type=_word(error.type, told),
            code=_word(error.code, told),
            message=told(error.message) if error.message else None,
            param=_word(error.param, told),
        )
    event.parameters = _fields(event.parameters, named, off, bool(texts))
    event.metadata = _fields(event.metadata, named, off, bool(texts))
    if event.attempts is not None:
        event.attempts = [_attempt(attempt, told, named, off) for attempt in event.attempts]
    if event.billing is not None and not is_left_alone(event.billing, prose.is_plain, prose.is_plain_name):
        event.billing = mapped(prose.without_prose(event.billing) if off else event.billing, redacted)
    if off:
        _clean_names(event)


def _clean_names(event: UsageEvent) -> None:
    event.provider = event.provider and prose.name_without_prose(event.provider)
    event.channel = event.channel and prose.name_without_prose(event.channel)
    event.user_agent = event.user_agent and prose.name_without_prose(event.user_agent)
    event.endpoint = event.endpoint and prose.address_without_prose(event.endpoint)


def _word(word: str | None, told: Any) -> str | None:
    """A type, code or parameter is a name; one that reads like a sentence is treated as one."""
    return told(word) if word and prose.is_prose(word) else redacted(word) if word else word


def _fields(value: JSONObject | None, named: Any, off: bool, has_texts: bool) -> JSONObject | None:
    if value is None or (not has_texts and is_left_alone(value, prose.is_plain, prose.is_plain_key)):
        return value
    cleaned: JSONObject = mapped(prose.without_content(value) if off else value, named)
    return cleaned


def _attempt(attempt: JSONObject, told: Any, named: Any, off: bool) -> JSONObject:
    return {
        prose.LEFT_OUT if off and prose.is_prose(str(key)) else str(key): mapped(value, told)
        if key in _ERROR_NAMES
        else mapped(prose.without_prose(value) if off else value, named)
        for key, value in attempt.items()
    }


def _decoded(raw: msgspec.Raw | None) -> Any:
    """Return content as JSON; as the text that it came in, where it cannot be built."""
    if raw is None or bytes(raw) == b"null":
        return None
    value = built(raw)
    return bytes(raw).decode(errors="replace") if value is None else value


def _size(raw: msgspec.Raw | None) -> int | None:
    return None if raw is None else len(bytes(raw))
