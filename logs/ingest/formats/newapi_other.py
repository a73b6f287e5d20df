"""What the rows of new-api's family tell beside their columns: JSON in ``other`` or in ``metadata``.

Sources: service/log_info_generate.go, service/text_quota.go, service/task_billing.go and model/log.go of
new-api; relay/relay_util/quota.go of one-hub; model/log.go of Laisky's one-api. Ratios of 1 are 2 USD per
million input tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar, cast

import msgspec

from logs.ingest.formats import tolerant
from routescope.wire.json_parts import BrokenError

CONSUME, ERROR, REFUND, TOOL = 2, 5, 6, 7
_PROVISIONAL = 6
_NO_END = ("", "ok", "success", "none")


class Dialect(Enum):
    """Whose ``logs`` table it is. The same numbers of types mean other things in each."""

    NEW_API = "new-api"
    ONE_API = "one-api"
    ONE_HUB = "one-hub"

    @property
    def types(self) -> tuple[int, ...]:
        """The types of rows that are calls or money. Top-ups, management, sign-ins, tests are neither."""
        if self is Dialect.NEW_API:
            return CONSUME, ERROR, REFUND
        return (CONSUME, TOOL) if self is Dialect.ONE_API else (CONSUME,)

    def is_open(self, kind: int) -> bool:
        """Tell whether a row of this type is an estimate that turns into a charge later."""
        return self is Dialect.ONE_API and kind == _PROVISIONAL


def dialect_of(columns: Collection[str]) -> Dialect:
    """Return whose table has such columns."""
    if "other" in columns:
        return Dialect.NEW_API
    return Dialect.ONE_HUB if "request_time" in columns else Dialect.ONE_API


class AdminInfo(msgspec.Struct):
    use_channel: list[str | int] = []
    local_count_tokens: bool = False
    usage_billing_path: str | None = None
    """Whose counts were charged: upstream's, or "local" and "...-estimated" where it counted itself."""


class StreamStatus(msgspec.Struct):
    """How a stream ended. Not every end that is an error has an ``end_error``."""

    status: str | None = None
    end_reason: str | None = None
    end_error: str | None = None
    errors: list[str] = []

    @property
    def is_error(self) -> bool:
        return (self.status or "").lower() not in _NO_END


class ToolSurcharge(msgspec.Struct):
    """Calls of a tool; ``price`` is USD for a thousand of them."""

    name: str
    count: int
    price: Decimal


class RequestRule(msgspec.Struct):
    """A multiplier that a tier's price has under a condition."""

    multiplier: Decimal = Decimal(1)
    matched: bool = False


class Other(msgspec.Struct):
    """new-api's ``other``. The meaning of a name that misleads stands beside it."""

    model_ratio: Decimal | None = None
    completion_ratio: Decimal | None = None
    model_price: Decimal | None = None
    group_ratio: Decimal | None = None
    user_group_ratio: Decimal | None = None
    """-1: none."""

    input_tokens_total: int | None = None
    cache_tokens: int | None = None
    cache_ratio: Decimal | None = None
    cache_creation_tokens: int | None = None
    cache_creation_ratio: Decimal | None = None
    cache_creation_tokens_5m: int | None = None
    cache_creation_ratio_5m: Decimal | None = None
    cache_creation_tokens_1h: int | None = None
    cache_creation_ratio_1h: Decimal | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    claude: bool = False
    usage_semantic: str | None = None

    audio: bool = False
    ws: bool = False
    audio_input: int | None = None
    audio_output: int | None = None
    text_input: int | None = None
    text_output: int | None = None
    audio_ratio: Decimal | None = None
    audio_completion_ratio: Decimal | None = None
    """On top of ``audio_ratio``."""
    audio_input_seperate_price: bool = False
    audio_input_token_count: int | None = None
    audio_input_price: Decimal | None = None
    """USD per million, and no ratio."""

    image_output: int | None = None
    """Tokens of images in the input, whatever its name says."""
    image_ratio: Decimal | None = None
    image_count: int | None = None

    tool_surcharges: list[ToolSurcharge] = []
    web_search_call_count: int | None = None
    web_search_price: Decimal | None = None
    file_search_call_count: int | None = None
    file_search_price: Decimal | None = None
    image_generation_call: bool = False
    image_generation_call_price: Decimal | None = None
    """USD for one."""

    billing_mode: str | None = None
    matched_tier: str | None = None
    expr_b64: str | None = None
    request_rules: list[RequestRule] = []
    usage_facts: dict[str, Any] = {}

    stream_status: StreamStatus | None = None
    frt: float | None = None
    is_model_mapped: bool = False
    upstream_model_name: str | None = None
    reasoning_effort: str | None = None
    request_path: str | None = None
    admin_info: AdminInfo | None = None

    error_type: str | None = None
    error_code: str | int | None = None
    status_code: int | None = None
    violation_fee: bool = False
    violation_fee_code: str | None = None
    violation_fee_marker: str | None = None
    upstream_error_type: str | None = None

    is_task: bool = False
    task_id: str | None = None
    reason: str | None = None
    actual_quota: int | None = None
    pre_consumed_quota: int | None = None
    pre_consumed: int | None = None
    quota_delta: int | None = None

    billing_source: str | None = None
    subscription_total: int | None = None
    subscription_used: int | None = None
    """After the call; all three are quota."""
    subscription_remain: int | None = None
    subscription_consumed: int | None = None
    """By the call alone."""
    usage_estimated: bool | None = None

    @property
    def is_estimated(self) -> bool:
        """Whether new-api counted the tokens itself, because upstream reported none."""
        if self.usage_estimated is not None:
            return self.usage_estimated
        info = self.admin_info or AdminInfo()
        if path := (info.usage_billing_path or "").strip().lower():
            # It counts while a stream comes, too, and then charges what upstream reported after all.
            return path == "local" or path.endswith("-estimated")
        return info.local_count_tokens

    @property
    def is_recalculation(self) -> bool:
        """Whether the row is the difference between what a task was charged beforehand and came to."""
        found = self.actual_quota, self.pre_consumed_quota, self.pre_consumed, self.quota_delta
        return (self.is_task or bool(self.task_id)) and any(value is not None for value in found)

    @property
    def is_tiered(self) -> bool:
        return self.billing_mode == "tiered_expr" or bool(self.matched_tier)

    @property
    def group(self) -> Decimal:
        """The ratio of the user's group."""
        own = self.user_group_ratio
        if own is not None and own >= 0:
            return own
        return Decimal(1) if self.group_ratio is None else self.group_ratio


class ExtraBilling(msgspec.Struct):
    """Calls of a tool; ``price`` is USD for each."""

    call_count: int = 0
    price: Decimal = Decimal(0)


class HubMetadata(msgspec.Struct):
    """one-hub's ``metadata``. Tokens of every kind lie inside of input and output."""

    group_name: str | None = None
    backup_group_name: str | None = None
    is_backup_group: bool = False
    price_type: str | None = None
    group_ratio: Decimal | None = None
    input_ratio: Decimal | None = None
    output_ratio: Decimal | None = None
    first_response: float | None = None
    cached_tokens: int | None = None
    cached_tokens_ratio: Decimal | None = None
    cached_read_tokens: int | None = None
    cached_read_tokens_ratio: Decimal | None = None
    cached_write_tokens: int | None = None
    cached_write_tokens_ratio: Decimal | None = None
    input_audio_tokens: int | None = None
    input_audio_tokens_ratio: Decimal | None = None
    output_audio_tokens: int | None = None
    output_audio_tokens_ratio: Decimal | None = None
    input_image_tokens: int | None = None
    input_image_tokens_ratio: Decimal | None = None
    output_image_tokens: int | None = None
    output_image_tokens_ratio: Decimal | None = None
    reasoning_tokens: int | None = None
    reasoning_tokens_ratio: Decimal | None = None
    extra_billing: dict[str, ExtraBilling] = {}


class CacheWrites(msgspec.Struct):
    ephemeral_5m: int | None = None
    ephemeral_1h: int | None = None


class LaiskyMetadata(msgspec.Struct):
    """The ``metadata`` of Laisky's one-api."""

    cache_write_tokens: CacheWrites | None = None
    upstream_endpoint: str | None = None
    estimated_charge: bool = False
    """The charge is what was taken beforehand: upstream reported no usage."""


_Told = TypeVar("_Told", bound=msgspec.Struct)
_DECODERS: dict[type, Callable[[str], Any]] = {
    kind: msgspec.json.Decoder(kind, strict=False).decode for kind in (Other, HubMetadata, LaiskyMetadata)
}


def told(text: str | None, kind: type[_Told]) -> _Told:
    """Return what the text tells; what of it cannot be read is left out: the charge stands in columns."""
    if not text:
        return kind()
    try:
        return cast("_Told", _DECODERS[kind](text))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        # Text of another version, or cut off.
        try:
            return tolerant.decode(text.encode(errors="replace"), kind)[0]
        except BrokenError:
            return kind()
