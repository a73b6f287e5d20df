"""The content policy at ingest: what of an arriving record is kept, where, and in which words.

Whatever the policy, the record itself holds no secret, and nothing that repeats its content: that is in the
store of content or nowhere. Where nothing may be kept, prose goes from all that is no error too; names and
numbers stay. An error keeps its words, unless the operator chose otherwise for its gateway
(`accounts.gateways.error_texts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.gateways import error_texts
from accounts.identities.resolving import ResolvedNames
from accounts.models import ErrorTexts
from logs.causes import error_forms
from logs.content import contents, echoes
from logs.content.contents import Captured, Policies
from logs.models import Level, UsageRecord
from logs.models.events import Failure, JSONObject, UsageEvent
from routescope.data.ids import derived_id
from routescope.text import prose
from routescope.text.redaction import is_left_alone, mapped, redacted, redacted_json
from routescope.wire.reading import built

_ERROR_NAMES = frozenset(
    """
    error errors message error_message error_msg errmsg msg err exception traceback detail details reason
    error_description error_str
    """.split()  # noqa: SIM905
)
"""What a gateway calls the error of an attempt."""
_CODE_NAMES = frozenset(
    """
    type code status param status_code http_status http_code error_type error_code error_class error_status
    """.split()  # noqa: SIM905
)
"""What in an error is a name, and stays one whatever is kept of its text."""


def apply(
    gateway_id: int,
    names: ResolvedNames,
    events: Sequence[UsageEvent],
    records: Sequence[UsageRecord] | None = None,
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
    if level is not Level.OFF:
        return True
    if event.error or event.parameters or event.metadata or event.attempts or event.billing:
        return True
    named = (event.provider, event.channel, event.user_agent, event.endpoint)
    return any(name is not None and prose.is_prose(name) for name in named)


def _has_texts(event: UsageEvent) -> bool:
    """Whether something came with the record that may hold a secret, repeat its content or be prose."""
    if event.error or event.parameters or event.metadata or event.attempts:
        return True
    names = (event.provider, event.channel, event.user_agent)
    # A sentence in Chinese is letters alone, too.
    if any(name and not (name.isascii() and name.isalnum()) for name in names):
        return True
    if event.endpoint and not prose.is_name(event.endpoint):
        return True
    return event.billing is not None and not is_left_alone(event.billing, prose.is_plain, prose.is_plain_name)


@dataclass(frozen=True, slots=True)
class _Cleaner:
    """What is taken out of one record's texts. ``off``: prose goes, too, where it is no error's."""

    content: echoes.Echoes
    off: bool
    has_content: bool

    def without_echoes(self, text: str) -> str:
        """Leave out a value, or the name of a field, that repeats the content; secrets stay."""
        is_echo = self.has_content and self.content.are_repeated_by_value(text)
        return prose.LEFT_OUT if is_echo else text

    def name(self, name: str | None) -> str | None:
        """Return what a provider, a channel or a program is called."""
        if name and self.has_content and self.content.are_repeated_by_name(name):
            return prose.LEFT_OUT
        return prose.name_without_prose(name) if name and self.off else name

    def address(self, address: str | None) -> str | None:
        if address and self.has_content:
            address = prose.address_of(address, lambda part: not self.content.are_repeated_by_value(part))
        return prose.address_without_prose(address) if address and self.off else address

    def fields(self, value: JSONObject | None) -> JSONObject | None:
        """Return parameters or metadata."""
        if value is None or (
            not self.has_content and is_left_alone(value, prose.is_plain, prose.is_plain_key)
        ):
            return value
        return self._without_either(prose.without_content(value) if self.off else value)

    def billing(self, value: JSONObject | None) -> JSONObject | None:
        if value is None or (
            not self.has_content and is_left_alone(value, prose.is_plain, prose.is_plain_name)
        ):
            return value
        return self._without_either(prose.without_prose(value) if self.off else value)

    def _without_either(self, value: JSONObject) -> JSONObject:
        cleaned: JSONObject = mapped(value, lambda text: redacted(self.without_echoes(text)))
        return cleaned

    def attempt(
        self, attempt: JSONObject, told: Callable[[str], str], cut: Callable[[str], str]
    ) -> JSONObject:
        """Return an attempt: its errors under what is kept of errors, the rest as parameters are.

        Secrets go from the whole of it: a field's name, or its neighbour's, may say that it holds one.
        """
        fields: JSONObject = {}
        for key, value in attempt.items():
            name = prose.LEFT_OUT if self.off and prose.is_prose(key) else self.without_echoes(key)
            if _is_of_error(key):
                fields[name] = _each(value, told)
            else:
                fields[name] = _each(prose.without_prose(value) if self.off else value, self.without_echoes)
        cleaned: JSONObject = redacted_json(fields)
        return {
            key: _each_value(value, cut) if _is_of_error(key) else value for key, value in cleaned.items()
        }


def _clean(event: UsageEvent, level: Level, kept: ErrorTexts, given: Any, answered: Any) -> None:
    message = event.error.message if event.error else None
    asked, said = echoes.texts_of(given), echoes.texts_of(answered)
    texts = sorted((*asked, *said), key=len, reverse=True)
    content = echoes.Echoes(texts)
    cut = error_texts.cutter(kept)
    clean = _Cleaner(content, level is Level.OFF, bool(texts))
    # What only repeats this error is no content that the error repeats.
    others = content if message is None else _besides(message, asked, said, content)

    def told(text: str) -> str:
        """Leave the content out of an error's text."""
        if not texts:
            return text
        is_this = message is not None and text != "" and message.startswith(text)
        return (others if is_this else content).without(text)

    def word(text: str | None) -> str | None:
        """A type, code or parameter is a name; one that reads like a sentence is treated as one."""
        if text and (prose.is_prose(text) or clean.without_echoes(text) != text):
            return cut(redacted(told(text)))
        return redacted(text) if text else text

    if event.error is not None:
        error = event.error
        event.error = Failure(
            type=word(error.type),
            code=word(error.code),
            message=cut(redacted(told(error.message))) if error.message else None,
            param=word(error.param),
        )
    event.parameters = clean.fields(event.parameters)
    event.metadata = clean.fields(event.metadata)
    if event.attempts is not None:
        event.attempts = [clean.attempt(attempt, told, cut) for attempt in event.attempts]
    event.billing = clean.billing(event.billing)
    event.provider = clean.name(event.provider)
    event.channel = clean.name(event.channel)
    event.user_agent = clean.name(event.user_agent)
    event.endpoint = clean.address(event.endpoint)


def _besides(
    message: str, asked: Sequence[str], said: Sequence[str], content: echoes.Echoes
) -> echoes.Echoes:
    """Return the content that an error may repeat: all of it but what itself repeats the error."""
    others = [
        *(text for text in asked if not error_forms.repeats_error(text, message)),
        *(text for text in said if not error_forms.is_error_for_answer(text, message)),
    ]
    if len(others) == len(asked) + len(said):
        return content
    return echoes.Echoes(sorted(others, key=len, reverse=True))


def _is_of_error(key: str) -> bool:
    return key.lower() in _ERROR_NAMES


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with a change made to every text in it, and to the names of its fields."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(str(key)): _each(inner, change) for key, inner in value.items()}
    return [_each(inner, change) for inner in value] if isinstance(value, list) else value


def _each_value(value: Any, change: Callable[[str], str]) -> Any:
    """Return an error with a change made to its texts; its type, its code and its fields' names stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change(key) if prose.is_prose(key) else key: inner
            if isinstance(inner, str) and key.lower() in _CODE_NAMES and not prose.is_prose(inner)
            else _each_value(inner, change)
            for key, inner in value.items()
        }
    return [_each_value(inner, change) for inner in value] if isinstance(value, list) else value


def _decoded(raw: msgspec.Raw | None) -> Any:
    """Return content as JSON; as the text that it came in, where it cannot be built."""
    if raw is None or bytes(raw) == b"null":
        return None
    value = built(raw)
    return bytes(raw).decode(errors="replace") if value is None else value


def _size(raw: msgspec.Raw | None) -> int | None:
    return None if raw is None else len(bytes(raw))
