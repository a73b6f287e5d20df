"""A StandardLoggingPayload of LiteLLM, as far as it is read, and what it says of its key."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from accounts.identities.token_facts import TokenFacts
from routescope.wire.reading import RecordError, amount, moment

Word = str | int | float | None


class _Lifetimes(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _TokenDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_token_details: _Lifetimes | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_audio_tokens: int | None = None
    character_count: int | None = None
    image_count: int | None = None
    video_length_seconds: float | None = None
    web_search_requests: int | None = None


class _ServerToolUse(msgspec.Struct):
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None
    tool_search_requests: int | None = None


class Usage(msgspec.Struct):
    """The usage object: LiteLLM's or the provider's own, of chat, Responses, Anthropic, images or audio."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _TokenDetails | None = None
    completion_tokens_details: _TokenDetails | None = None
    input_tokens_details: _TokenDetails | None = None
    input_token_details: _TokenDetails | None = None
    output_tokens_details: _TokenDetails | None = None
    output_token_details: _TokenDetails | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Lifetimes | None = None
    server_tool_use: _ServerToolUse | None = None
    service_tier: Word = None
    seconds: float | None = None
    duration_seconds: float | None = None


class Metadata(msgspec.Struct):
    user_api_key_hash: Word = None
    user_api_key_alias: Word = None
    user_api_key_user_id: Word = None
    user_api_key_user_email: Word = None
    user_api_key_team_id: Word = None
    user_api_key_team_alias: Word = None
    user_api_key_org_id: Word = None
    user_api_key_end_user_id: Word = None
    user_api_key_request_route: Word = None
    user_api_key_max_budget: Decimal | None = None
    user_api_key_spend: Decimal | None = None
    user_api_key_budget_reset_at: Word = None
    requester_ip_address: Word = None
    user_agent: Word = None
    requester_metadata: msgspec.Raw = msgspec.Raw()
    spend_logs_metadata: msgspec.Raw = msgspec.Raw()
    usage_object: Usage | None = None


class ErrorInformation(msgspec.Struct):
    error_code: Word = None
    error_class: Word = None
    error_message: Word = None
    llm_provider: Word = None
    error_provider_request_id: Word = None
    error_rate_limit_category: Word = None
    error_rate_limit_type: Word = None
    error_budget_entity_type: Word = None
    error_budget_entity_id: Word = None
    error_budget_limit: Word = None
    error_budget_spend: Word = None
    normalized_error: Word = None


class _HiddenParams(msgspec.Struct):
    additional_headers: msgspec.Raw = msgspec.Raw()


_NAMES = {
    "started": "startTime",
    "ended": "endTime",
    "first_chunk": "completionStartTime",
    "of_version_1": "modelParameters",
}


class Payload(msgspec.Struct, rename=_NAMES):
    """What is read of a payload; everything else (8 KB of model map among it) is skipped unparsed."""

    id: Word = None
    started: float | None = None
    ended: float | None = None
    first_chunk: float | None = None
    litellm_call_id: Word = None
    trace_id: Word = None
    session_id: Word = None
    call_type: Word = None
    stream: bool | None = None
    status: Word = None
    custom_llm_provider: Word = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    response_cost: Decimal | None = None
    response_cost_failure_debug_info: msgspec.Raw = msgspec.Raw()
    cost_breakdown: msgspec.Raw = msgspec.Raw()
    model: Word = None
    model_group: Word = None
    model_id: Word = None
    api_base: Word = None
    model_parameters: msgspec.Raw = msgspec.Raw()
    request_tags: msgspec.Raw = msgspec.Raw()
    end_user: Word = None
    requester_ip_address: Word = None
    user_agent: Word = None
    cache_hit: bool | None = None
    error_str: Word = None
    error_information: ErrorInformation | None = None
    metadata: Metadata | None = None
    hidden_params: _HiddenParams | None = None
    messages: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    of_version_1: msgspec.Raw = msgspec.Raw()
    """What only the payload of ``generic_api_use_v1`` names so."""


class Answer(msgspec.Struct):
    """Of a response: its ID and what it counts, without the content."""

    id: Word = None
    data: list[msgspec.Raw] | None = None


class Named(msgspec.Struct):
    """Of a response: the model that it names."""

    model: Word = None


NO_ERROR = ErrorInformation()
NO_METADATA = Metadata()
NO_USAGE = Usage()
NO_DETAILS = _TokenDetails()
NO_LIFETIMES = _Lifetimes()
NO_TOOLS = _ServerToolUse()


def token_facts(metadata: Metadata) -> TokenFacts | None:
    """Return what a payload says of its key: the budget, what is spent of it, and when it is renewed.

    Limits, models and expiry are in no payload. Without a budget there is nothing to say.
    """
    budget = _usd(metadata.user_api_key_max_budget)
    if budget is None:
        return None
    resets = metadata.user_api_key_budget_reset_at
    try:
        resets_at = moment(resets) if isinstance(resets, str) and resets else None
    except RecordError:
        resets_at = None
    return TokenFacts(
        budget=budget, budget_spent=_usd(metadata.user_api_key_spend), budget_resets_at=resets_at
    )


def _usd(value: Decimal | None) -> Decimal | None:
    try:
        found = amount(value)
    except RecordError:
        return None
    return None if found is None or found < 0 else found
