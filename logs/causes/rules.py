"""The rules by which a failed call's cause is judged: data, read in order, the first that fits decides.

Order matters. What only one cause can mean comes first (a client that went away, a prompt too long for the
model); what many share (a class name, an HTTP status) comes last. Providers give one status for many causes:
OpenAI answers 429 to an empty balance, Anthropic 400, OpenRouter 403 to a moderated prompt, Gemini 400 to a
wrong API key. Hence words before statuses.

Sources: the error pages of OpenAI (platform.openai.com/docs/guides/error-codes), Anthropic
(docs.anthropic.com/en/api/errors), Gemini (ai.google.dev/gemini-api/docs/troubleshooting), Mistral
(docs.mistral.ai), DeepSeek (api-docs.deepseek.com/quick_start/error_codes), OpenRouter
(openrouter.ai/docs/api-reference/errors) and LiteLLM (docs.litellm.ai/docs/exception_mapping); new-api's
codes from its ``types/error.go``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from logs.models import Cause


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It fits if any of its three parts does.

    ``words`` are looked for in the error's code, type and message: names that a provider gives an error.
    ``message`` is looked for in the message alone: prose. ``statuses`` are HTTP statuses. ``next_step`` says
    what the person can do.
    """

    key: str
    cause: Cause
    next_step: StrPromise
    words: re.Pattern[str] | None = None
    message: re.Pattern[str] | None = None
    statuses: frozenset[int] = frozenset()


def _rule(
    key: str,
    cause: Cause,
    next_step: StrPromise,
    *,
    words: str = "",
    message: str = "",
    statuses: tuple[int, ...] = (),
) -> Rule:
    return Rule(
        key,
        cause,
        next_step,
        re.compile(words, re.IGNORECASE) if words else None,
        re.compile(message, re.IGNORECASE) if message else None,
        frozenset(statuses),
    )


_SHORTEN = _("Shorten the input, lower max_tokens, or use a model with a longer context.")
_WAIT = _("Wait, then try again more slowly. The token's limits are on its configuration page.")
_TOP_UP = _("Top up, or raise the limit of the token, team or provider account that ran out.")
_ACCESS = _("Check the API key and what it may use: models, group, IP addresses, regions.")
_REPHRASE = _("Change what the request asks for. Repeating it unchanged will be refused again.")
_MEND = _("Correct the parameter that the message names; the API reference says what it accepts.")
_REPEAT = _("Try again. If it keeps failing, use another model or ask the provider, giving the upstream ID.")
_OPERATOR = _(
    "Try again shortly. If it keeps failing, tell the operator of the gateway, giving the request ID."
)
_LONGER = _("Try again with a longer timeout, fewer output tokens, or as a stream.")
_CLIENT = _("Nothing to mend at the gateway: look at the client's own timeout, or who cancelled the call.")
_ASK = _("The evidence fits no known cause: read the error's message, or ask support, giving the request ID.")

RULES: tuple[Rule, ...] = (
    _rule(
        "client-closed",
        Cause.CLIENT_CLOSED,
        _CLIENT,
        words=r"\b(client_?closed(_?request)?|client_?disconnect(ed)?|ClientDisconnectedError"
        r"|CancelledError)\b",
        message=r"client (closed|disconnected|has disconnected|went away|cancel)"
        r"|context cancel+ed|aborted by the client|request (was )?(aborted|cancel+ed) by (the )?(user|client)"
        r"|broken pipe",
        statuses=(499,),
    ),
    _rule(
        "tokens-per-minute-too-large",
        Cause.RATE_LIMIT,
        _("One request alone is larger than the limit of tokens per minute: shorten it, or raise the limit."),
        message=r"request too large for .{1,200} on tokens per (min|day)",
    ),
    _rule(
        "context-length",
        Cause.CONTEXT_LENGTH,
        _SHORTEN,
        words=r"\b(context_length_exceeded|context_window_exceeded|model_context_window_exceeded"
        r"|ContextWindowExceededError|context_too_long|model_max_prompt_tokens_exceeded)\b",
        message=r"maximum context length|context (length|window|size|limit)( (is|was|has been))? exceed"
        r"|exceeds? (the )?(model'?s )?(maximum |available )?context (length|window|size|limit)"
        r"|input (or output )?tokens? (count|length)?.{0,60}exceeds? the (maximum|limit)"
        r"|prompt is too long|prompt contains \d+ tokens.{0,60}too large|prompt_?token.{0,40}exceed"
        r"|input (is|length) too long|too many (total|input) tokens|input length should be"
        r"|input exceeds the context window|reduce the length of the (messages|prompt|input)",
    ),
    _rule(
        "content-policy",
        Cause.CONTENT_POLICY,
        _REPHRASE,
        words=r"\b(content_policy_violation|ContentPolicyViolationError|content_?filter(ed|ing)?"
        r"|moderation_blocked"
        r"|ResponsibleAIPolicyViolation|data_?inspection_?failed|PROHIBITED_CONTENT|IMAGE_SAFETY|SPII"
        r"|RECITATION|BLOCKLIST|sensitive_words_detected|prompt_blocked|content_blocked|input_moderation"
        r"|GuardrailRaisedException|GuardrailInterventionNormalStringError|guardrail_violation|invalid_prompt"
        r"|image_generation_user_error|safety_violation)\b",
        message=r"content (management |usage |filtering |safety )?polic(y|ies)|usage polic(y|ies)"
        r"|safety (system|filter|setting|reason|guideline)|blocked (due to|because of|by).{0,40}safety"
        r"|finish_?reason\W{0,4}SAFETY|block_?reason|was flagged|flagged (for|as)|content exists risk"
        r"|requires moderation|violat\w{1,12} .{0,40}(polic|guardrail|terms)|inappropriate content"
        r"|sensitive words|responsible ai practices|moderation (block|fail|reject)",
    ),
    _rule(
        "provider-quota-window",
        Cause.RATE_LIMIT,
        _WAIT,
        message=r"quota exceeded for (quota )?metric|resource has been exhausted \(e\.g\. check quota\)",
    ),
    _rule(
        "no-channel",
        Cause.GATEWAY,
        _(
            "No upstream of the gateway serves this model in this group now: tell its operator, or use "
            "another."
        ),
        words=r"\b(get_channel_failed|no_available_channel|channel:no_available_key|no_db_connection"
        r"|model_price_error|RouterRateLimitError(Basic)?)\b",
        message=r"no (available|usable) channel|no deployments available|no healthy (upstream|deployment)"
        r"|无可用渠道|no connected db|所有渠道",
    ),
    _rule(
        "balance",
        Cause.BALANCE,
        _TOP_UP,
        words=r"\b(insufficient_(user_)?quota|insufficient_balance|insufficient_credits?"
        r"|billing_hard_limit_reached"
        r"|billing_not_active|billing_error|BudgetExceeded(Error)?|budget_exceeded|ExceededBudget"
        r"|ExceededTokenBudget"
        r"|token_quota_exhausted|pre_consume_token_quota_failed|Arrearage|quota_not_enough|payment_required"
        r"|(user|team|token|key)_budget_exceeded|max_budget_limiter)\b",
        message=r"insufficient (account )?(balance|credit|fund|quota)|credit balance is too low"
        r"|exceeded your current quota|budget has been exceeded|exceeded? .{0,30}\bbudget"
        r"|crossed .{0,30}budget"
        r"|requires more credits|key limit exceeded|(monthly )?spend(ing)? limit|billing (hard )?limit"
        r"|credits? (are|is|were|was|have been|has been) (depleted|exhausted)|payment required"
        r"|out of credits?|额度不足|余额不足|good standing|account is not active.{0,40}billing"
        r"|specified (api )?usage limits",
        statuses=(402,),
    ),
    _rule(
        "api-key",
        Cause.PERMISSION,
        _("Send a valid API key: this one is missing, mistyped, expired, revoked or of another service."),
        words=r"\b(invalid_api_key|API_KEY_INVALID|expired_key|token_not_found_in_db|AuthenticationError"
        r"|authentication_error|invalid_authentication|UNAUTHENTICATED|no_api_key|InvalidApiKey"
        r"|unauthorized|token_expired)\b",
        message=r"(incorrect|invalid|expired|missing|no|wrong) (x-)?api[ -]key"
        r"|api[ -]key (is )?(not valid|invalid|expired)"
        r"|invalid (x-api-key|bearer|authentication|token\b.{0,20}(key|令牌))|no auth credentials"
        r"|authentication (fails|failed|error)|invalid proxy server token|user not found"
        r"|无效的令牌|令牌已过期",
        statuses=(401,),
    ),
    _rule(
        "access",
        Cause.PERMISSION,
        _ACCESS,
        words=r"\b(permission_error|PERMISSION_DENIED|PermissionDenied(Error)?|permission_denied"
        r"|access_denied"
        r"|unsupported_country_region_territory|(key|team|user|org|project)_model_access_denied"
        r"|insufficient_permissions"
        r"|model_not_allowed|user_location_not_supported|country_not_supported|ip_not_allowed|blocked_key"
        r"|SERVICE_DISABLED|user_blocked|forbidden)\b",
        message=r"(not|isn't|aren't) (allowed|permitted|authori[sz]ed) (to|for|on)"
        r"|do(es)? not have (access|permission)"
        r"(?! to it)|location is not supported|country, region, or territory not supported|permission denied"
        r"|must be verified|access (to .{1,80} )?(is )?denied|can only access models|无权"
        r"|ip address .{0,40}not allowed"
        r"|insufficient permissions|missing scopes|has not been used in project|unauthori[sz]ed",
        statuses=(403, 407, 451),
    ),
    _rule(
        "timeout",
        Cause.TIMEOUT,
        _LONGER,
        words=r"\b(timeout_?(error)?|APITimeoutError|Timeout|request_?timeout|gateway_?timeout"
        r"|DEADLINE_EXCEEDED"
        r"|ReadTimeout|ConnectTimeout|upstream_timeout|deadline_exceeded)\b(?! ?(must|should|parameter"
        r"|value|is))",
        message=r"timed[ -]out|deadline (expired|exceeded)|i/o timeout|超时",
        statuses=(408, 504, 522, 524),
    ),
    _rule(
        "rate-limit",
        Cause.RATE_LIMIT,
        _WAIT,
        words=r"\b(rate_limit(_exceeded|_error|_reached)?|RateLimitError|rate_limited|too_many_requests"
        r"|RESOURCE_EXHAUSTED|requests_per_min|tokens_per_min|service_tier_capacity_exceeded"
        r"|Throttling(\.\w+)?"
        r"|ThrottlingException|slow_down|max_parallel_request_limiter(_v3)?|concurrency_limit_exceeded)\b",
        message=r"rate[- ]?limit|too many (concurrent )?(requests|connections)|requests? per (min|day|second)"
        r"|tokens per (min|day)|acceleration limit|concurrent requests? (limit|exceed)|throttl|请求过于频繁"
        r"|max_?parallel_?requests|capacity exceeded",
        statuses=(429,),
    ),
    _rule(
        "no-connection",
        Cause.GATEWAY,
        _OPERATOR,
        words=r"\b(APIConnectionError|do_request_failed|connection_error|ConnectError|upstream_connect_error"
        r"|ECONNREFUSED|ECONNRESET|ENOTFOUND|bad_gateway|channel_error|channel:\w+|convert_request_failed)\b",
        message=r"(?:^|[\s:-])connection (error|refused|reset|aborted)|cannot connect to host"
        r"|upstream connect error"
        r"|bad gateway|no such host|name or service not known|do request failed|certificate verify failed"
        r"|tls handshake|failed to (connect|reach)",
        statuses=(520, 521, 523, 525, 526, 530),
    ),
    _rule(
        "model-response",
        Cause.MODEL_RESPONSE,
        _REPEAT,
        words=r"\b(overloaded_error|api_error|server_error|internal_server_error|InternalServerError"
        r"|engine_overloaded"
        r"|service_unavailable(_error)?|ServiceUnavailableError|INTERNAL|UNAVAILABLE|MALFORMED_FUNCTION_CALL"
        r"|JSONSchemaValidationError|APIResponseValidationError|bad_response(_body|_status_code)?"
        r"|empty_response"
        r"|read_response_body_failed|tool_use_failed|json_validate_failed|vector_store_timeout|model_error"
        r"|MidStreamFallbackError|model_overloaded|internal_error|ABORTED|DATA_LOSS|provider_error"
        r"|response_incomplete|upstream_error|ProviderError)\b",
        message=r"overloaded|server had an error|internal (server )?error|provider returned (an )?error"
        r"|invalid (json )?response|unexpected (end|eof)|server disconnected|incomplete (chunked )?read"
        r"|empty response|no content (was )?(generated|returned)|temporarily (unavailable|down)|high demand"
        r"|model (produced|returned|output) .{0,30}(invalid|malformed|empty)|stream (ended|closed"
        r"|interrupted)"
        r"|service unavailable|currently unavailable",
        statuses=(500, 529),
    ),
    _rule(
        "model-name",
        Cause.PARAMETERS,
        _("Correct the model's name, or choose one that this token and group may use."),
        words=r"\b(model_not_found|invalid_model|model_not_supported|ModelNotFound|not_found_error"
        r"|NotFoundError"
        r"|model_decommissioned)\b",
        message=r"model (?:(?!model ).){0,120}"
        r"(does not exist|not found|is not (a )?(valid|supported|available)|not exist"
        r"|has been (deprecated|decommissioned|shut down))|invalid model|is not a valid model"
        r"|no endpoints found"
        r"|unknown model|no allowed providers",
    ),
    _rule(
        "parameters",
        Cause.PARAMETERS,
        _MEND,
        words=r"\b(invalid_request(_error|_prompt)?|BadRequestError|INVALID_ARGUMENT"
        r"|FAILED_PRECONDITION|NOT_FOUND"
        r"|OUT_OF_RANGE|UnsupportedParamsError|UnprocessableEntityError|unsupported_(parameter|value)"
        r"|invalid_value"
        r"|invalid_type|unknown_parameter|missing_required_parameter|string_above_max_length"
        r"|integer_above_max_value"
        r"|request_too_large|extra_forbidden|InvalidRequestError|validation_error|invalid_parameter(_error)?"
        r"|InvalidParameter|decimal_above_max_value|array_above_max_length|invalid_function_parameters"
        r"|invalid_image(_url|_format)?|RejectedRequestError|unprocessable_entity|UNIMPLEMENTED"
        r"|bad_request_body)\b",
        message=r"unsupported (parameter|value|content)|invalid (value|type|parameter|argument|json"
        r"|body|request|schema)"
        r"|missing required|field required|must be (a|an|one|less|greater|between|either)|unknown (name"
        r"|parameter|field)"
        r"|extra inputs are not permitted|is not supported (with|by|for)|unexpected keyword",
        statuses=(400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 417, 422, 501),
    ),
    _rule("gateway-status", Cause.GATEWAY, _OPERATOR, statuses=(502, 503, 505, 507, 508, 527)),
    _rule("unknown", Cause.UNKNOWN, _ASK, message=r""),
)
