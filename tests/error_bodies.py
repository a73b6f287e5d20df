# ruff: noqa: E501
"""Error bodies as the providers send them, each with the cause that a person would name.

Written after the providers' error pages and the answers of their APIs. ``failure`` reads a body as a gateway
does: what the body calls type, code, message and param.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logs.models import Cause
from logs.models.events import Failure


@dataclass(frozen=True, slots=True)
class Sent:
    """One error answer: who sent it, its HTTP status and body, and the right cause."""

    by: str
    status: int | None
    body: dict[str, Any]
    cause: Cause

    @property
    def failure(self) -> Failure:
        error = self.body.get("error", self.body)
        if isinstance(error, str):
            return Failure(message=error)
        code, kind, message = (
            error.get("code"),
            error.get("type") or error.get("status"),
            error.get("message"),
        )
        raw = (error.get("metadata") or {}).get("raw")
        if not isinstance(message, str):
            message = str(message or self.body.get("detail") or "") or None
        return Failure(
            type=None if kind == "error" else kind,
            code=None if code is None else str(code),
            message=f"{message}: {raw}" if raw else message,
            param=error.get("param"),
        )


def _openai(
    status: int, message: str, kind: str, code: str | None, cause: Cause, param: str | None = None
) -> Sent:
    return Sent(
        "OpenAI", status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, cause
    )


def _anthropic(status: int, kind: str, message: str, cause: Cause) -> Sent:
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }
    return Sent("Anthropic", status, body, cause)


def _gemini(status: int, word: str, message: str, cause: Cause, **details: Any) -> Sent:
    body = {"error": {"code": status, "message": message, "status": word, **details}}
    return Sent("Gemini", status, body, cause)


def _mistral(status: int, message: Any, kind: str | None, code: str | None, cause: Cause) -> Sent:
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return Sent("Mistral", status, body, cause)


def _deepseek(status: int, message: str, kind: str, code: str, cause: Cause) -> Sent:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Sent("DeepSeek", status, body, cause)


def _openrouter(status: int, message: str, cause: Cause, **metadata: Any) -> Sent:
    body = {"error": {"message": message, "code": status, "metadata": metadata}, "user_id": "user_2x"}
    return Sent("OpenRouter", status, body, cause)


def _litellm(status: int | None, name: str, message: str, cause: Cause, code: str | None = None) -> Sent:
    body = {
        "error": {
            "message": message,
            "type": name,
            "param": None,
            "code": code or (str(status) if status else None),
        }
    }
    return Sent("LiteLLM", status, body, cause)


BODIES: tuple[Sent, ...] = (
    # --- OpenAI
    _openai(401, "Incorrect API key provided: sk-abc***xyz. You can find your API key at https://platform.openai.com/account/api-keys.", "invalid_request_error", "invalid_api_key", Cause.PERMISSION),
    _openai(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.", "invalid_request_error", None, Cause.PERMISSION),
    _openai(401, "You must be a member of an organization to use the API.", "invalid_request_error", None, Cause.PERMISSION),
    _openai(403, "Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory", Cause.PERMISSION),
    _openai(403, "Project `proj_x` does not have access to model `gpt-5`", "invalid_request_error", "model_not_found", Cause.PERMISSION),
    _openai(403, "You have insufficient permissions for this operation. Missing scopes: model.request.", "invalid_request_error", None, Cause.PERMISSION),
    _openai(400, "Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/organization/general", "invalid_request_error", "unsupported_value", Cause.PERMISSION, "stream"),
    _openai(404, "The model `gpt-6-ultra` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found", Cause.PARAMETERS),
    _openai(429, "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.", "insufficient_quota", "insufficient_quota", Cause.BALANCE),
    _openai(400, "Billing hard limit has been reached", "invalid_request_error", "billing_hard_limit_reached", Cause.BALANCE),
    _openai(429, "Your account is not active, please check your billing details on our website.", "billing_not_active", "billing_not_active", Cause.BALANCE),
    _openai(429, "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29560, Requested 1204. Please try again in 1.528s.", "tokens", "rate_limit_exceeded", Cause.RATE_LIMIT),
    _openai(429, "Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 500, Used 500, Requested 1.", "requests", "rate_limit_exceeded", Cause.RATE_LIMIT),
    _openai(429, "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 41350. The input or output tokens must be reduced in order to run successfully.", "tokens", "rate_limit_exceeded", Cause.RATE_LIMIT),
    _openai(400, "This model's maximum context length is 128000 tokens. However, your messages resulted in 140211 tokens. Please reduce the length of the messages.", "invalid_request_error", "context_length_exceeded", Cause.CONTEXT_LENGTH, "messages"),
    _openai(400, "Your input exceeds the context window of this model. Please adjust your input and try again.", "invalid_request_error", "context_length_exceeded", Cause.CONTEXT_LENGTH, "input"),
    _openai(400, "Your request was rejected as a result of our safety system. Your prompt may contain text that is not allowed by our safety system.", "invalid_request_error", "content_policy_violation", Cause.CONTENT_POLICY),
    _openai(400, "Your request was rejected by the safety system. If you believe this is an error, contact us at help.openai.com and include the request ID req_x. safety_violations=[sexual].", "image_generation_user_error", "moderation_blocked", Cause.CONTENT_POLICY),
    _openai(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.", "invalid_request_error", "invalid_prompt", Cause.CONTENT_POLICY),
    _openai(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "invalid_request_error", "unsupported_parameter", Cause.PARAMETERS, "max_tokens"),
    _openai(400, "Invalid value: 'assistent'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", "invalid_request_error", "invalid_value", Cause.PARAMETERS, "messages[0].role"),
    _openai(400, "max_tokens is too large: 50000. This model supports at most 16384 completion tokens, whereas you provided 50000.", "invalid_request_error", "invalid_value", Cause.PARAMETERS, "max_tokens"),
    _openai(400, "Missing required parameter: 'messages'.", "invalid_request_error", "missing_required_parameter", Cause.PARAMETERS, "messages"),
    _openai(400, "Invalid 'input[0]': string too long. Expected a string with maximum length 10485760, but got a string with length 10999999 instead.", "invalid_request_error", "string_above_max_length", Cause.PARAMETERS),
    _openai(500, "The server had an error while processing your request. Sorry about that!", "server_error", None, Cause.MODEL_RESPONSE),
    _openai(503, "The engine is currently overloaded, please try again later.", "server_error", None, Cause.MODEL_RESPONSE),
    _openai(503, "Slow Down: a sudden increase in your request rate is impacting service reliability.", "slow_down", "slow_down", Cause.RATE_LIMIT),
    # --- Azure OpenAI, by the same SDK
    _openai(400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.", "", "content_filter", Cause.CONTENT_POLICY, "prompt"),
    # --- Anthropic
    _anthropic(400, "invalid_request_error", "max_tokens: Field required", Cause.PARAMETERS),
    _anthropic(400, "invalid_request_error", "messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"user\" roles in a row", Cause.PARAMETERS),
    _anthropic(400, "invalid_request_error", "prompt is too long: 210345 tokens > 200000 maximum", Cause.CONTEXT_LENGTH),
    _anthropic(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again", Cause.CONTEXT_LENGTH),
    _anthropic(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.", Cause.BALANCE),
    _anthropic(400, "invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.", Cause.BALANCE),
    _anthropic(402, "billing_error", "There is an issue with your billing or payment information.", Cause.BALANCE),
    _anthropic(400, "invalid_request_error", "Output blocked by content filtering policy", Cause.CONTENT_POLICY),
    _anthropic(401, "authentication_error", "invalid x-api-key", Cause.PERMISSION),
    _anthropic(403, "permission_error", "Your API key does not have permission to use the specified resource.", Cause.PERMISSION),
    _anthropic(404, "not_found_error", "model: claude-opus-9", Cause.PARAMETERS),
    _anthropic(413, "request_too_large", "Request exceeds the maximum size", Cause.PARAMETERS),
    _anthropic(429, "rate_limit_error", "This request would exceed your organization's rate limit of 40,000 input tokens per minute (org: x, model: claude-sonnet-5).", Cause.RATE_LIMIT),
    _anthropic(429, "rate_limit_error", "Number of concurrent connections has exceeded your rate limit. Please try again later.", Cause.RATE_LIMIT),
    _anthropic(500, "api_error", "Internal server error", Cause.MODEL_RESPONSE),
    _anthropic(504, "timeout_error", "The request timed out while processing.", Cause.TIMEOUT),
    _anthropic(529, "overloaded_error", "Overloaded", Cause.MODEL_RESPONSE),
    # --- Gemini
    _gemini(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Cause.PERMISSION, details=[{"reason": "API_KEY_INVALID"}]),
    _gemini(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name \"max_tokens\" at 'generation_config': Cannot find field.", Cause.PARAMETERS),
    _gemini(400, "INVALID_ARGUMENT", "The input token count (1203444) exceeds the maximum number of tokens allowed (1048576).", Cause.CONTEXT_LENGTH),
    _gemini(400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Cause.PERMISSION),
    _gemini(403, "PERMISSION_DENIED", "Generative Language API has not been used in project 12345 before or it is disabled.", Cause.PERMISSION),
    _gemini(404, "NOT_FOUND", "models/gemini-9-pro is not found for API version v1beta, or is not supported for generateContent.", Cause.PARAMETERS),
    _gemini(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 15 Please retry in 34.07s.", Cause.RATE_LIMIT),
    _gemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", Cause.RATE_LIMIT),
    _gemini(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing.", Cause.BALANCE),
    _gemini(500, "INTERNAL", "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting", Cause.MODEL_RESPONSE),
    _gemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Cause.MODEL_RESPONSE),
    _gemini(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", Cause.TIMEOUT),
    _gemini(200, "PROHIBITED_CONTENT", "The prompt was blocked: blockReason PROHIBITED_CONTENT", Cause.CONTENT_POLICY),
    _gemini(200, "", "The response was stopped: finishReason: SAFETY", Cause.CONTENT_POLICY),
    _gemini(200, "MALFORMED_FUNCTION_CALL", "Malformed function call", Cause.MODEL_RESPONSE),
    # --- Mistral
    _mistral(401, "Unauthorized", None, None, Cause.PERMISSION),
    _mistral(400, "Invalid model: mistral-huge-9", "invalid_model", "1500", Cause.PARAMETERS),
    _mistral(422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}, "invalid_request_error", None, Cause.PARAMETERS),
    _mistral(400, "Prompt contains 40211 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "invalid_request_prompt", "3051", Cause.CONTEXT_LENGTH),
    _mistral(429, "Requests rate limit exceeded", "rate_limited", "1300", Cause.RATE_LIMIT),
    _mistral(429, "Service tier capacity exceeded for this model.", "service_tier_capacity_exceeded", "3505", Cause.RATE_LIMIT),
    _mistral(500, "Service unavailable.", "internal_server_error", "1000", Cause.MODEL_RESPONSE),
    # --- DeepSeek
    _deepseek(400, "Content Exists Risk", "invalid_request_error", "invalid_request_error", Cause.CONTENT_POLICY),
    _deepseek(401, "Authentication Fails, Your api key: ****abcd is invalid", "authentication_error", "invalid_request_error", Cause.PERMISSION),
    _deepseek(402, "Insufficient Balance", "unknown_error", "invalid_request_error", Cause.BALANCE),
    _deepseek(400, "This model's maximum context length is 131072 tokens. However, you requested 139112 tokens (131920 in the messages, 7192 in the completion).", "invalid_request_error", "invalid_request_error", Cause.CONTEXT_LENGTH),
    _deepseek(400, "Model Not Exist", "invalid_request_error", "invalid_request_error", Cause.PARAMETERS),
    _deepseek(422, "Failed to deserialize the JSON body into the target type: messages[0]: missing field `role` at line 1 column 90", "invalid_request_error", "invalid_request_error", Cause.PARAMETERS),
    _deepseek(429, "Rate Limit Reached", "rate_limit_error", "rate_limit_reached", Cause.RATE_LIMIT),
    _deepseek(503, "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.", "service_unavailable_error", "service_unavailable", Cause.MODEL_RESPONSE),
    # --- OpenRouter
    _openrouter(400, "foo/bar is not a valid model ID", Cause.PARAMETERS),
    _openrouter(401, "No auth credentials found", Cause.PERMISSION),
    _openrouter(401, "User not found.", Cause.PERMISSION),
    _openrouter(402, "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 1204.", Cause.BALANCE),
    _openrouter(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits", Cause.BALANCE),
    _openrouter(403, "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys", Cause.BALANCE),
    _openrouter(403, "openai/gpt-4o requires moderation on OpenAI. Your input was flagged for \"violence\". No credits were charged.", Cause.CONTENT_POLICY, reasons=["violence"]),
    _openrouter(404, "No endpoints found that support tool use. Try disabling \"get_weather\".", Cause.PARAMETERS),
    _openrouter(408, "Your request timed out", Cause.TIMEOUT),
    _openrouter(429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day", Cause.RATE_LIMIT),
    _openrouter(429, "Provider returned error", Cause.RATE_LIMIT, raw="deepseek/deepseek-chat:free is temporarily rate-limited upstream. Please retry shortly.", provider_name="Chutes"),
    _openrouter(400, "Provider returned error", Cause.CONTEXT_LENGTH, raw='{"error":{"message":"This endpoint\'s maximum context length is 65536 tokens.","code":400}}', provider_name="Novita"),
    _openrouter(502, "Provider returned error", Cause.MODEL_RESPONSE, raw="", provider_name="Together"),
    # --- LiteLLM: exception classes, as its proxy and callbacks send them
    _litellm(400, "BadRequestError", "litellm.BadRequestError: OpenAIException - Unknown parameter: 'foo'.", Cause.PARAMETERS),
    _litellm(400, "UnsupportedParamsError", "litellm.UnsupportedParamsError: anthropic does not support parameters: ['logit_bias'], for model=claude-sonnet-5.", Cause.PARAMETERS),
    _litellm(422, "UnprocessableEntityError", "litellm.UnprocessableEntityError: MistralException - Input validation failed", Cause.PARAMETERS),
    _litellm(404, "NotFoundError", "litellm.NotFoundError: OpenAIException - The model `gpt-9` does not exist or you do not have access to it.", Cause.PARAMETERS),
    _litellm(400, "ContextWindowExceededError", "litellm.BadRequestError: litellm.ContextWindowExceededError: AnthropicException - prompt is too long: 210345 tokens > 200000 maximum", Cause.CONTEXT_LENGTH),
    _litellm(400, "ContentPolicyViolationError", "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - The response was filtered", Cause.CONTENT_POLICY, "content_policy_violation"),
    _litellm(401, "AuthenticationError", "litellm.AuthenticationError: AuthenticationError: OpenAIException - Incorrect API key provided: sk-***", Cause.PERMISSION),
    _litellm(401, "token_not_found_in_db", "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...abcd, Key Hash (Token) =88dc. Unable to find token in cache or `LiteLLM_VerificationTokenTable`", Cause.PERMISSION),
    _litellm(400, "expired_key", "Authentication Error - Expired Key. Key Expiry time 2026-01-01 and current time 2026-11-21", Cause.PERMISSION),
    _litellm(403, "PermissionDeniedError", "litellm.PermissionDeniedError: OpenAIException - Project does not have access to model `gpt-5`", Cause.PERMISSION),
    _litellm(401, "key_model_access_denied", "key not allowed to access model. This key can only access models=['gpt-4o-mini']. Tried to access gpt-5", Cause.PERMISSION),
    _litellm(429, "RateLimitError", "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached for gpt-4o", Cause.RATE_LIMIT),
    _litellm(429, "RateLimitError", "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.", Cause.BALANCE),
    _litellm(400, "budget_exceeded", "Budget has been exceeded! Current cost: 10.0231, Max budget: 10.0", Cause.BALANCE),
    _litellm(400, "BudgetExceededError", "ExceededBudget: User=alice over budget. Spend=5.02, Budget=5.0", Cause.BALANCE),
    _litellm(408, "Timeout", "litellm.Timeout: APITimeoutError - Request timed out. Error_str: Request timed out.", Cause.TIMEOUT),
    _litellm(500, "APIConnectionError", "litellm.APIConnectionError: OllamaException - Cannot connect to host localhost:11434 ssl:default", Cause.GATEWAY),
    _litellm(500, "InternalServerError", "litellm.InternalServerError: AnthropicException - {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", Cause.MODEL_RESPONSE),
    _litellm(503, "ServiceUnavailableError", "litellm.ServiceUnavailableError: VertexAIException - The model is overloaded. Please try again later.", Cause.MODEL_RESPONSE),
    _litellm(500, "APIError", "litellm.APIError: Stream chunk could not be decoded: unexpected end of data", Cause.MODEL_RESPONSE),
    _litellm(502, "BadGatewayError", "litellm.BadGatewayError: OpenAIException - Bad gateway", Cause.GATEWAY),
    _litellm(None, "JSONSchemaValidationError", "litellm.JSONSchemaValidationError: model=, returned an invalid response, doesn't match schema", Cause.MODEL_RESPONSE),
    _litellm(429, "RouterRateLimitError", "No deployments available for selected model, Try again in 60 seconds. Passed model=gpt-4o.", Cause.GATEWAY),
    _litellm(499, "ClientDisconnected", "Client disconnected the request", Cause.CLIENT_CLOSED),
    _litellm(400, "GuardrailRaisedException", "Violated guardrail policy: presidio-pii", Cause.CONTENT_POLICY),
    # --- new-api
    Sent("new-api", 503, {"error": {"message": "No available channel for model gpt-5 under group vip (distributor)", "type": "new_api_error", "code": "model_not_found"}}, Cause.GATEWAY),
    Sent("new-api", 403, {"error": {"message": "用户额度不足, 剩余额度: ＄0.012", "type": "new_api_error", "code": "insufficient_user_quota"}}, Cause.BALANCE),
    Sent("new-api", 500, {"error": {"message": "do request failed: dial tcp 10.0.0.2:443: connect: connection refused", "type": "new_api_error", "code": "do_request_failed"}}, Cause.GATEWAY),
    # --- Only a status, or nothing at all
    Sent("nobody", 503, {}, Cause.GATEWAY),
    Sent("nobody", 429, {}, Cause.RATE_LIMIT),
    Sent("an SDK", None, {"error": "Error code: 429 - no more words"}, Cause.RATE_LIMIT),
    Sent("nobody", None, {}, Cause.UNKNOWN),
    Sent("nobody", 418, {"error": {"message": "I am a teapot", "type": "teapot"}}, Cause.UNKNOWN),
    Sent("nobody", None, {"error": {"message": "Something went wrong", "type": "E1042"}}, Cause.UNKNOWN),
)  # fmt: skip
