"""What every inbound format is decoded to: one event per record, typed, names not yet resolved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from accounts.identities.token_facts import TokenFacts
from logs.models import Cause, RecordType, Status

JSONObject = dict[str, Any]
COUNTS_READ = "counts_read"
"""The key in a record's metadata under which stands how its token counts were read, where that is worth a
word: `logs.ingest.formats.counts.how_read`."""
FUNDING_SOURCE, BALANCE_BEFORE, BALANCE_AFTER = "funding_source", "balance_before", "balance_after"
"""The keys in a record's billing of what paid for the call, and of what it held in USD, as decimal text:
`logs.ingest.formats.funding`, `logs.pricing.funding`."""
MOST_OF_A_SOURCE = 60
"""Letters of what a gateway calls the source that paid."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error as the client saw it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class UsageEvent(msgspec.Struct, kw_only=True):
    """One record as a gateway reported it. Times are UTC, money is USD, durations are milliseconds.

    ``input_tokens`` includes cached ones, ``output_tokens`` includes reasoning. ``cost`` None: the gateway
    did not say. Names are the gateway's own; an empty one was not given. ``identity`` is what makes a record
    the same record where several share a request ID (cache hits, spans); None: the request ID does.
    ``usage_estimated``: the gateway counted the tokens itself, since the provider reported none; None where
    nobody said so. ``token_facts`` is what the record says of its token beside the name, which is kept with
    the token.
    Set at ingest are ``content``: the policy (`logs.models.Level`) under which content came, None where
    none was sent; and ``cause``: why it failed, judged before anything of its error was cut.
    """

    request_id: str
    created_at: datetime
    identity: str | None = None
    type: RecordType = RecordType.REQUEST
    status: Status = Status.SUCCESS
    user: str = ""
    token: str = ""
    group: str = ""
    model: str = ""
    stream: bool | None = None
    duration_ms: int | None = None
    ttft_ms: int | None = None
    http_status: int | None = None
    endpoint: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_count: int | None = None
    usage_estimated: bool | None = None
    quantities: Mapping[str, int | float] | None = None
    cost: Decimal | None = None
    billing: JSONObject | None = None
    error: Failure | None = None
    parameters: JSONObject | None = None
    upstream_request_id: str | None = None
    provider: str | None = None
    channel: str | None = None
    attempts: list[JSONObject] | None = None
    input: msgspec.Raw | None = None
    output: msgspec.Raw | None = None
    content: int | None = None
    cause: Cause = Cause.NONE
    task_id: str | None = None
    metadata: JSONObject | None = None
    token_facts: TokenFacts | None = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be stored: where it stood in the body, and what to mend."""

    index: int
    request_id: str | None
    error: str


class Batch(msgspec.Struct, kw_only=True):
    """A decoded body: the events with their places in it, and what could not be decoded.

    ``faults`` counts records that could not be read through a fault of ours: they are to be sent again.
    ``ignored`` counts what is no call of a model.
    """

    events: list[tuple[int, UsageEvent]]
    rejected: list[Rejection]
    faults: int = 0
    ignored: int = 0
