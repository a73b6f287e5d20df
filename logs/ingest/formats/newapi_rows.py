"""One row of a ``logs`` table of new-api's family, and what it says by itself: which kind, failed or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from logs.ingest.formats.newapi_other import CONSUME, ERROR, REFUND, TOOL, Dialect, Other, told
from logs.models import REQUEST_TYPES, RecordType
from logs.models.events import Failure
from routescope.wire.reading import MAX_COUNT, MAX_NAME, shortened

_NORMAL_ENDS = ("done", "eof", "")
_MOST_ERRORS = 5


class NewApiRow(msgspec.Struct):
    """A row; what the source's version of the table does not have keeps its default."""

    id: int
    created_at: float
    type: int
    content: str | None = None
    username: str | None = None
    token_name: str | None = None
    model_name: str | None = None
    origin_model_name: str | None = None
    quota: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    use_time: float | None = None
    elapsed_time: float | None = None
    request_time: float | None = None
    is_stream: bool | int | None = None
    channel_id: int | None = None
    group: str | None = None
    ip: str | None = None
    source_ip: str | None = None
    request_id: str | None = None
    upstream_request_id: str | None = None
    other: str | None = None
    metadata: str | None = None


@dataclass(slots=True)
class Row:
    """A row with what its JSON tells. ``other`` is empty where the dialect has none.

    ``failure`` says why a call failed; None where it did not.
    """

    row: NewApiRow
    dialect: Dialect
    other: Other
    request_id: str
    kind: RecordType
    failure: Failure | None

    @classmethod
    def of(cls, row: NewApiRow, dialect: Dialect) -> Row:
        other = told(row.other, Other) if dialect is Dialect.NEW_API else Other()
        kind = _kind(row, other)
        return cls(row, dialect, other, (row.request_id or "").strip(), kind, _failure(row, other, kind))

    @property
    def is_call(self) -> bool:
        return self.kind in REQUEST_TYPES

    @property
    def http_status(self) -> int | None:
        """The status that the client saw: a stream had begun well before it broke off."""
        status = self.other.status_code
        if self.row.type == CONSUME and self.is_call and not self.other.violation_fee:
            return 200
        return status if status is not None and 100 <= status <= 999 else None

    @property
    def duration(self) -> int | None:
        """Milliseconds. new-api counts whole seconds, the others milliseconds; 0 is what nobody measured."""
        row = self.row
        measured = row.elapsed_time if row.request_time is None else row.request_time
        if measured is None and row.use_time is not None:
            measured = row.use_time * 1000
        return milliseconds(measured)


def _kind(row: NewApiRow, other: Other) -> RecordType:
    if row.type == REFUND:
        return RecordType.REFUND
    if row.type == TOOL or (row.type == CONSUME and ((row.quota or 0) < 0 or other.is_recalculation)):
        # Given back, and no refund of one charge; the difference to what a task was charged beforehand; a
        # tool's own charge. None of them is a further call.
        return RecordType.ADJUSTMENT
    is_task = row.type == CONSUME and (other.is_task or bool(other.task_id))
    return RecordType.TASK if is_task else RecordType.REQUEST


def _failure(row: NewApiRow, other: Other, kind: RecordType) -> Failure | None:
    if row.type == ERROR:
        return Failure(
            type=name_of(other.error_type) or None,
            code=name_of(str(other.error_code)) if other.error_code not in (None, "") else None,
            message=shortened(row.content) if row.content else None,
        )
    if row.type != CONSUME or kind not in REQUEST_TYPES:
        return None
    if other.violation_fee:
        return Failure(
            type=name_of(other.upstream_error_type) or None,
            code=name_of(other.violation_fee_code) or "violation_fee",
            message=shortened(other.violation_fee_marker or row.content or "") or None,
        )
    if (ended := other.stream_status) is None or not ended.is_error:
        return None
    reason = name_of(ended.end_reason)
    said = ended.end_error or "; ".join(ended.errors[:_MOST_ERRORS])
    return Failure(
        code=reason if reason not in _NORMAL_ENDS or not said else None,
        message=shortened(said) if said else None,
    )


def is_taken(row: NewApiRow, dialect: Dialect) -> bool:
    """Tell whether a row is a call or money. A tool's row that names a model repeats that call's charge."""
    if row.type == TOOL and (row.origin_model_name or not row.quota):
        return False
    return row.type in dialect.types


def milliseconds(value: float | None) -> int | None:
    return round(min(value, MAX_COUNT)) if value is not None and value > 0 and not math.isnan(value) else None


def count_of(value: int | None) -> int:
    return min(max(value or 0, 0), MAX_COUNT)


def name_of(value: Any) -> str:
    return str(value or "").strip().replace("\x00", "\ufffd")[:MAX_NAME]
