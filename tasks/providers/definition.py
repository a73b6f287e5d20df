"""What a provider is: data, read from TOML. This module says what may stand in it.

Durations are written ``30s``, ``5m``, ``24h``, ``2d``. Expressions are JMESPath over the provider's JSON
answer.
"""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from routescope.wire.outbound import MAX_BYTES
from tasks.models import OPEN_STATUSES, UNSUCCESSFUL_STATUSES, TaskStatus, TaskType

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SLOTS = re.compile(r"\{[^{}]*+\}")
_SLOTS_OF_PIECES = {"{value}", "{+value}", "{id}", "{base}"}
_HOST = re.compile(r"(\*\.[a-z0-9_-]+\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

PieceKind = Literal["image", "audio", "video", "text", "json", "file"]
MAX_DEFINITION = 64 * 1024
"""Characters of a definition; the largest of ours has 3,000."""
LONGEST = timedelta(days=400)
MOST_BYTES = 32 * 1024 * 1024
"""What a definition may let an answer have: a video of 8 s in Full HD, in base64, has some 20 MB."""
Expression = Annotated[str, msgspec.Meta(max_length=2000)]
Text = Annotated[str, msgspec.Meta(max_length=1000)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class DefinitionError(ValueError):
    """A definition that cannot be used; ``str()`` says what to mend."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state that the words alone do not tell. The first rule whose ``when`` is true decides, before any
    word; with ``of`` it is asked only where the word, in whatever case, means that state.
    """

    when: Expression
    state: TaskStatus
    of: TaskStatus | None = None


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the result. ``path`` finds URLs (or text, data); ``url`` makes one of each ``{value}``
    (``{+value}``: which is a path) and ``{id}``, ``{base}`` being the credential's base URL.

    Without ``kind`` it is told by content type, by the URL's ending, or by the task's type; what is no URL is
    data as it stands where ``kind`` is ``json``. ``needs_key``: the URL answers only to the provider's key,
    so nobody's browser can open it. ``despite_failure``: it is there although the task failed, was cancelled
    or expired (a file of errors, what a batch had done until then). No other link is shown of such a task.
    """

    path: Expression
    url: Text = ""
    kind: PieceKind | None = None
    needs_key: bool = False
    despite_failure: bool = False


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where in an answer stands what. ``status`` finds the provider's word; ``words`` says what it means, in
    any case.

    A word that is not among them is kept, and is not final. ``progress`` is percent once multiplied by
    ``progress_scale``; or ``progress_done`` of ``progress_total``. ``lifetime``: how long results can be
    fetched after the end, where ``expires`` does not say. ``zone``: of times that the provider writes
    without one.
    """

    status: Expression
    words: dict[str, TaskStatus]
    rules: Annotated[list[Rule], msgspec.Meta(max_length=50)] = []
    progress: Expression = ""
    progress_scale: float = 1
    progress_done: Expression = ""
    progress_total: Expression = ""
    started: Expression = ""
    finished: Expression = ""
    results: Annotated[list[Piece], msgspec.Meta(max_length=20)] = []
    expires: Expression = ""
    lifetime: str = ""
    failure_code: Expression = ""
    failure_message: Expression = ""
    task_id: Expression = ""
    zone: str = "UTC"


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a request carries the API key. ``jwt_hs256``: the key is ``access:secret`` and signs a token
    (Kling).
    """

    scheme: Literal["none", "header", "query", "jwt_hs256"] = "none"
    name: str = "Authorization"
    prefix: str = ""


class Follow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A second request for the result, once the first answer says the task succeeded. Its answer stands under
    ``_result`` of the first one, its HTTP status under ``_result_status``."""

    url: str
    path: Expression = ""
    """Finds the URL in the first answer instead, if the host is allowed."""
    values: Annotated[dict[str, Expression], msgspec.Meta(max_length=10)] = {}
    """What the first answer fills into ``url`` beside what ``Poll.url`` takes. Where it holds one of them
    not, there is nothing to ask for."""


class Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to ask about a task, and how often.

    In ``url``, ``{name}`` is the task's parameter as one path segment, ``{+name}`` as a path (RFC 6570);
    ``id`` is the provider's task ID, ``base`` the credential's base URL or ``base`` here. ``hosts``: where
    a URL that the provider or the gateway names may lead (``*.example.com``: all below it). The key goes
    there and to the fixed hosts of the URLs, as they were when it was entered, and nowhere else
    (``key_binding``). In ``headers``, ``{uuid}`` is a new one for each request. ``most_bytes``: of an answer,
    where results come inside it.
    """

    url: str
    base: str = ""
    method: Literal["GET", "POST"] = "GET"
    headers: dict[str, str] = {}
    parameters: dict[str, str] = {}
    hosts: list[str] = []
    first: str = "5s"
    every: str = "5s"
    longest: str = "60s"
    deadline: str = "24h"
    concurrency: Positive = 8
    most_bytes: Annotated[int, msgspec.Meta(ge=1024, le=MOST_BYTES)] = MAX_BYTES
    follow: Follow | None = None


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Callbacks. ``standard``: Standard Webhooks; ``fal``: Ed25519 by fal's keys; ``none``: unsigned, only
    a reason to poll now. ``task_id`` finds the provider's task ID. ``body``: whether a signed one is read
    as a poll's answer (``poll``), by ``reading``, or only a reason to poll (``hint``)."""

    scheme: Literal["standard", "fal", "none"] = "none"
    task_id: Expression = "id"
    body: Literal["poll", "own", "hint"] = "hint"
    reading: Reading | None = None
    jwks: str = ""


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider. ``aliases`` are what gateways may call it; ``types`` what its tasks make, the usual one
    first.
    """

    slug: str
    name: str
    reading: Reading
    documentation: str = ""
    aliases: list[str] = []
    types: list[TaskType] = msgspec.field(default_factory=lambda: [TaskType.OTHER])
    refunded: list[TaskStatus] = msgspec.field(default_factory=lambda: list(UNSUCCESSFUL_STATUSES))
    auth: Auth = Auth()
    poll: Poll | None = None
    webhook: Webhook = Webhook()


def parse(text: str) -> Definition:
    """Read a definition from TOML. Raises DefinitionError with the line or the field to mend."""
    if len(text) > MAX_DEFINITION:
        raise DefinitionError(f"A definition has at most {MAX_DEFINITION:,} characters.")
    try:
        definition = msgspec.convert(tomllib.loads(text), Definition)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"This is not TOML: {error}.") from error
    except RecursionError as error:
        raise DefinitionError("This is nested too deep.") from error
    except msgspec.ValidationError as error:
        raise DefinitionError(str(error).replace("`$.", "`").replace("Object", "The table")) from error
    except ValueError as error:  # A number that Python does not read, say.
        raise DefinitionError(f"This cannot be read: {error}.") from error
    if not _SLUG.fullmatch(definition.slug):
        raise DefinitionError(f"slug: {definition.slug!r} is not made of a-z, 0-9 and dashes.")
    _check(definition)
    return definition


def expression(text: str) -> ParsedResult:
    """Return the compiled JMESPath expression. Raises DefinitionError."""
    try:
        return _compiled(text)
    except JMESPathError as error:
        raise DefinitionError(f"{text!r} is not JMESPath: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError, AttributeError, TypeError) as error:
        # jmespath itself stumbles over some of what is no expression.
        raise DefinitionError(f"{text[:200]!r} is not JMESPath: {error}") from error


@lru_cache(maxsize=2048)
def _compiled(text: str) -> ParsedResult:
    return jmespath.compile(text)


@lru_cache(maxsize=512)
def duration(text: str) -> timedelta:
    """Return a duration such as ``5m``. Raises DefinitionError."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise DefinitionError(f"{text!r} is not a duration: write 30s, 5m, 24h or 2d.")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST.total_seconds():
        raise DefinitionError(f"{text!r} is longer than {LONGEST.days} days.")
    return timedelta(seconds=seconds)


def _check(definition: Definition) -> None:
    readings = [definition.reading]
    if definition.webhook.reading:
        readings.append(definition.webhook.reading)
    elif definition.webhook.body == "own":
        raise DefinitionError('webhook: body = "own" needs a table [webhook.reading].')
    for reading in readings:
        _check_reading(reading)
    expression(definition.webhook.task_id)
    if definition.webhook.scheme == "fal" and not definition.webhook.jwks.startswith("https://"):
        raise DefinitionError("webhook.jwks: must start with https://.")
    if any(state in OPEN_STATUSES for state in definition.refunded):
        raise DefinitionError("refunded: only final states are refunded.")
    poll = definition.poll
    if poll is None:
        return
    for text in (poll.first, poll.every, poll.longest, poll.deadline):
        duration(text)
    for pattern in poll.hosts if definition.auth.scheme != "none" else ():
        if not _HOST.fullmatch(pattern):
            raise DefinitionError(
                f"poll.hosts: {pattern!r} would send the key to any host of its shape. Name the provider's:"
                " host.example, or *.example.com."
            )
    if not poll.url.startswith(("https://", "{+base}", "{+poll_url}")):
        raise DefinitionError("poll.url: must start with https://, {+base} or {+poll_url}.")
    if "{+base}" in poll.url and poll.base and urlsplit(poll.base).scheme != "https":
        raise DefinitionError("poll.base: must start with https://.")
    if poll.follow:
        for path in filter(None, (poll.follow.path, *poll.follow.values.values())):
            expression(path)


def _check_reading(reading: Reading) -> None:
    paths = [
        reading.status,
        reading.progress,
        reading.progress_done,
        reading.progress_total,
        reading.started,
        reading.finished,
        reading.expires,
        reading.failure_code,
        reading.failure_message,
        reading.task_id,
        *(rule.when for rule in reading.rules),
        *(piece.path for piece in reading.results),
    ]
    for path in filter(None, paths):
        expression(path)
    if reading.lifetime:
        duration(reading.lifetime)
    try:
        ZoneInfo(reading.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(f"zone: {reading.zone!r} is no time zone.") from error
    for piece in reading.results:
        if unknown := set(_SLOTS.findall(piece.url)) - _SLOTS_OF_PIECES:
            raise DefinitionError(
                f"results.url: {min(unknown)} is neither {{value}} nor {{+value}}, {{id}} or {{base}}."
            )
