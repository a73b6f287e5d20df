"""What gateways say about tasks (``POST`` and ``PATCH /api/v1/tasks``): bytes to reports, no database."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from routescope.text.identifiers import kept
from routescope.text.prose import without_prose
from routescope.text.redaction import mapped, without_secrets, without_secrets_in_name
from routescope.wire import strict_json
from routescope.wire.reading import (
    FormatError,
    amount,
    bounded,
    moment,
    readable,
    sanitised,
    shortened,
    split,
)
from routescope.wire.strict_json import JSON, JSONError
from tasks.models import MAX_ID_BYTES, UNSUCCESSFUL_STATUSES, EventKind, TaskStatus, TaskType
from tasks.outcomes.observations import Observation
from tasks.outcomes.privacy import address
from tasks.providers.catalogue import Catalogue
from tasks.providers.definition import Definition, Reading
from tasks.providers.reading import progress_of, state_of
from tasks.providers.results import result_told

MAX_TASKS = 1_000
"""Tasks in one request: each changes in a transaction of its own."""

MAX_REPORT_BYTES = 256 * 1024
"""Of one report's JSON: its result has a quarter of that at most."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
_Name = Annotated[str, msgspec.Meta(max_length=200)]
_Url = Annotated[str, msgspec.Meta(max_length=2000)]
_Word = Annotated[str, msgspec.Meta(max_length=100)]


class _Error(msgspec.Struct):
    type: str | int | None = None
    code: str | int | None = None
    message: str | None = None


class _Poll(msgspec.Struct):
    url: _Url | None = None
    parameters: dict[str, str] = {}


class _Body(msgspec.Struct, kw_only=True):
    task_id: _Id | None = None
    created_at: str | float | None = None
    user: _Name | None = None
    token: _Name | None = None
    group: _Name | None = None
    model: _Name | None = None
    request_id: _Id | None = None
    platform: _Word | None = None
    type: str | None = None
    status: _Word | None = None
    provider_status: _Word | None = None
    provider_task_id: _Id | None = None
    progress: float | str | None = None
    cost: Decimal | None = None
    started_at: str | float | None = None
    finished_at: str | float | None = None
    result: Any = None
    result_expires_at: str | float | None = None
    error: _Error | str | None = None
    poll: _Poll | None = None
    refunds: Literal["routescope", "gateway"] | None = None


class _Named(msgspec.Struct):
    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report, decoded. Empty text and None: not said. Names are the gateway's own; times are UTC."""

    key: str
    task_id: str
    submitted_at: datetime | None
    user: str = ""
    token: str = ""
    group: str = ""
    model: str = ""
    request_id: str = ""
    platform: str = ""
    definition: Definition | None = None
    type: TaskType | None = None
    said: str = ""
    word: str = ""
    provider_task_id: str = ""
    progress: int | None = None
    cost: Decimal | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    result_expires_at: datetime | None = None
    failure_code: str = ""
    failure_message: str = ""
    poll_url: str = ""
    poll_parameters: dict[str, str] = field(default_factory=dict)
    gateway_refunds: bool = False
    body: JSON = None
    """The report as it came, to be kept where its task is not registered yet."""

    @property
    def says_something(self) -> bool:
        """Whether it says more than that the task exists."""
        return bool(
            self.said not in ("", TaskStatus.QUEUED)
            or self.word
            or self.failure_message
            or self.started_at
            or self.progress is not None
            or self.result is not None
        )

    def observation(self, definition: Definition | None, task_type: str) -> Observation:
        """Return what it says about a task of this provider and type: words and results are read by them."""
        status = _status(self.said or self.word, definition)
        return Observation(
            key=self.key,
            kind=EventKind.REPORT,
            status=status,
            # A state that is no canonical one is the provider's own word.
            word=self.word or ("" if self.said in TaskStatus.values else self.said),
            progress=self.progress,
            started_at=self.started_at,
            finished_at=self.finished_at,
            result=result_told(self.result, status=status, task_type=task_type, definition=definition)
            or None,
            result_expires_at=self.result_expires_at,
            failure_code=self.failure_code,
            failure_message=self.failure_message,
            cost=self.cost,
            provider_task_id=self.provider_task_id,
            refunded_states=tuple(definition.refunded) if definition else UNSUCCESSFUL_STATUSES,
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """A report that cannot be used: where it stood in the body, and what to mend."""

    index: int
    task_id: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Reports:
    reports: list[tuple[int, Report]]
    rejected: list[Rejected]


def decode(body: bytes, catalogue: Catalogue, *, registering: bool, task_id: str = "") -> Reports:
    """Decode a body of one or many reports. ``registering``: each must say who submitted what, and when.

    ``task_id`` is of the URL, where one task is reported on. Raises FormatError where nothing can be decoded.
    """
    reports: list[tuple[int, Report]] = []
    rejected: list[Rejected] = []
    undecodable = 0
    records = split(body, 1 if task_id else MAX_TASKS)
    for index, raw in enumerate(records):
        try:
            value = strict_json.decode(raw)
            decoded = _body(raw, value)
            reports.append((index, _report(decoded, value, catalogue, registering, task_id)))
        except JSONError as error:
            undecodable += 1
            rejected.append(Rejected(index, task_id or _task_id(raw), f"not valid JSON: {error}"))
        except msgspec.ValidationError as error:
            rejected.append(Rejected(index, task_id or _task_id(raw), readable(error)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            undecodable += 1
            rejected.append(Rejected(index, task_id or None, f"not valid JSON: {error}"))
        except ValueError as error:
            rejected.append(Rejected(index, task_id or _task_id(raw), str(error)))
    if rejected and undecodable == len(rejected) and not reports:
        raise FormatError(f"No task can be decoded: {rejected[0].error}.")
    return Reports(reports, rejected)


def again(body: Any, key: str, task_id: str, catalogue: Catalogue) -> Report:
    """Decode a report that was kept for later. Raises ValueError where a definition has changed against
    it.
    """
    decoded = _decode(msgspec.json.encode(body))
    return replace(_report(decoded, body, catalogue, registering=False, task_id=task_id), key=key)


_decode = msgspec.json.Decoder(_Body).decode


def _body(raw: bytes, value: JSON) -> _Body:
    """Decode a report; what `strict_json` mended in it is read as mended. Raises msgspec.DecodeError."""
    try:
        return _decode(sanitised(raw))
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode(msgspec.json.encode(value))


_FIELDS = frozenset(_Body.__struct_fields__)


def _task_id(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Named).task_id[:MAX_ID_BYTES]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _report(body: _Body, value: JSON, catalogue: Catalogue, registering: bool, task_id: str) -> Report:
    if body.task_id and task_id and body.task_id.strip() != task_id.strip():
        raise ValueError(f"task_id: {body.task_id!r} is not the task of this URL, {task_id!r}")
    identifier = _id(body.task_id or task_id, "task_id")
    if not identifier:
        raise ValueError("task_id: is missing; it is the ID that the client saw")
    if registering and body.created_at is None:
        raise ValueError("created_at: is missing; it is when the task was submitted")
    definition = catalogue.get(body.platform) if body.platform else None
    code, message = _failure(body.error)
    return Report(
        key=_key(value),
        task_id=identifier,
        submitted_at=None if body.created_at is None else moment(body.created_at),
        user=without_secrets_in_name((body.user or "").strip()),
        token=without_secrets_in_name((body.token or "").strip()),
        group=without_secrets_in_name((body.group or "").strip()),
        model=without_secrets_in_name((body.model or "").strip()),
        request_id=_id(body.request_id, "request_id"),
        platform=definition.slug
        if definition
        else without_secrets_in_name((body.platform or "").strip())[:64],
        definition=definition,
        type=_type(body.type, definition),
        said=body.status or "",
        word=body.provider_status or "",
        provider_task_id=_id(body.provider_task_id, "provider_task_id"),
        progress=progress_of(body.progress),
        cost=_cost(body.cost),
        started_at=None if body.started_at is None else moment(body.started_at, "started_at"),
        finished_at=None if body.finished_at is None else moment(body.finished_at, "finished_at"),
        result=bounded(body.result, "result"),
        result_expires_at=(
            None if body.result_expires_at is None else moment(body.result_expires_at, "result_expires_at")
        ),
        failure_code=code,
        failure_message=message,
        poll_url=_poll_url(body.poll),
        poll_parameters=_poll_parameters(body.poll),
        gateway_refunds=body.refunds == "gateway",
        body=mapped(_known_of(value), without_secrets),
    )


def _id(text: str | None, field: str) -> str:
    """Return an ID as it is searched for: without space around it. Raises ValueError for one that no page can
    show and nobody can type.
    """
    named = (text or "").strip()
    if any(unicodedata.category(mark) in ("Cc", "Zl", "Zp") for mark in named):
        raise ValueError(f"{field}: holds a control character")
    if len(named.encode()) > MAX_ID_BYTES:
        raise ValueError(f"{field}: is longer than {MAX_ID_BYTES:,} bytes")
    return kept(named)


def _known_of(value: JSON) -> JSON:
    """Return a report without the fields that mean nothing here, whatever their size. Raises ValueError where
    it is too large all the same.
    """
    fields = value.items() if isinstance(value, dict) else ()
    known: JSON = {name: said for name, said in fields if name in _FIELDS}
    size = len(msgspec.json.encode(known))
    if size > MAX_REPORT_BYTES:
        raise ValueError(f"{size:,} bytes are too many for one report: at most {MAX_REPORT_BYTES:,}")
    return known


def _key(value: JSON) -> str:
    """Return what makes the same report the same: its content, whatever the order of its fields."""
    canonical = msgspec.json.encode(value, order="deterministic")
    return f"report:{hashlib.blake2b(canonical, digest_size=16).hexdigest()}"


def _status(word: str, definition: Definition | None) -> TaskStatus | None:
    """Read a canonical state, or the provider's own word for one, in any case. Another word is kept as
    unknown."""
    if not word:
        return None
    if word.lower() in TaskStatus.values:
        return TaskStatus(word.lower())
    reading = definition.reading if definition else Reading(status="@", words={})
    return state_of(reading, word)


def _type(word: str | None, definition: Definition | None) -> TaskType | None:
    if word is None:
        return definition.types[0] if definition and definition.types else None
    if word not in TaskType.values:
        raise ValueError(f"type: {word[:50]!r} is not one of {', '.join(TaskType.values)}")
    return TaskType(word)


def _cost(value: Decimal | None) -> Decimal | None:
    cost = amount(value)
    if cost is not None and cost < 0:
        raise ValueError("cost: what a task cost is not negative; refunds are records of their own")
    return cost


def _failure(error: _Error | str | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    if isinstance(error, str):
        return "", shortened(error)
    code = error.code if error.code not in (None, "") else error.type
    return str(code if code is not None else "")[:100], shortened(error.message or "")


def _poll_url(poll: _Poll | None) -> str:
    if poll is None or not poll.url:
        return ""
    if not poll.url.startswith(("https://", "http://")):
        raise ValueError("poll.url: is not an http(s) URL")
    return address(poll.url)


def _poll_parameters(poll: _Poll | None) -> dict[str, str]:
    """Return what fills the places of a provider's URL: names and numbers, no secrets and no prose."""
    parameters = bounded(poll.parameters, "poll.parameters") if poll else None
    return mapped(without_prose(parameters), without_secrets) if parameters else {}
