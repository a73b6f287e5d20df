"""Errors of calls: status, type, code and message, wherever an instrumentation put them."""

from __future__ import annotations

from typing import Any

import pytest

from logs.ingest.formats import failures
from logs.models import Status
from tests.dialects import event_of, written

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
LLM = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
NO_QUOTA = "You exceeded your current quota, please check your plan."
OPENAI = {
    "error": {"message": NO_QUOTA, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
}
ANTHROPIC = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": "Overloaded"},
    "request_id": "req_011CRx",
}
GOOGLE = {
    "error": {"code": 429, "message": "Resource has been exhausted.", "status": "RESOURCE_EXHAUSTED"},
}

Told = tuple[int | None, str | None, str | None, str | None]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # OpenAI, Anthropic and their kin, as Python's dictionaries and as JSON.
        (f"Error code: 429 - {OPENAI}", (429, "insufficient_quota", "insufficient_quota", NO_QUOTA)),
        (f"Error code: 529 - {ANTHROPIC}", (529, "overloaded_error", None, "Overloaded")),
        (f"RateLimitError: Error code: 429 - {OPENAI}",
         (429, "RateLimitError", "insufficient_quota", NO_QUOTA)),
        (f"openai.RateLimitError: Error code: 429 - {written(OPENAI)}",
         (429, "RateLimitError", "insufficient_quota", NO_QUOTA)),
        ("Error code: 502 - Bad gateway", (502, None, None, "Bad gateway")),
        ("429 status code (no body)", (429, None, None, "429 status code (no body)")),
        # pydantic-ai.
        (f"status_code: 429, model_name: gpt-4o, body: {OPENAI['error']}",
         (429, "insufficient_quota", "insufficient_quota", NO_QUOTA)),
        (f"ModelHTTPError: status_code: 529, model_name: claude, body: {ANTHROPIC}",
         (529, "ModelHTTPError", None, "Overloaded")),
        # google-genai.
        (f"429 RESOURCE_EXHAUSTED. {GOOGLE}",
         (429, None, "RESOURCE_EXHAUSTED", "Resource has been exhausted.")),
        ("503 UNAVAILABLE. {'error': {'code': 503, 'message': 'Busy.', 'status': 'UNAVAILABLE'}}",
         (503, None, "UNAVAILABLE", "Busy.")),
        # LiteLLM, whose class comes first and the provider's own after it.
        (f"litellm.RateLimitError: RateLimitError: OpenAIException - {written(OPENAI)}",
         (None, "RateLimitError", "insufficient_quota", NO_QUOTA)),
        ("litellm.Timeout: APITimeoutError - Request timed out.", (None, None, None, None)),
        # Bedrock.
        ("An error occurred (ThrottlingException) when calling the Converse operation: Too many requests",
         (None, "ThrottlingException", None, None)),
        # An exception as Python's repr, and with the traceback around it.
        (f'OpenAIRateLimitError("Error code: 429 - {OPENAI}")Traceback (most recent call last):\n File',
         (429, "OpenAIRateLimitError", "insufficient_quota", NO_QUOTA)),
        ('Traceback (most recent call last):\n  File "a.py", line 1\nopenai.NotFoundError: Error code: 404 - '
         "{'error': {'message': 'No such model', 'code': 'model_not_found'}}",
         (404, "NotFoundError", "model_not_found", "No such model")),
        # Other shapes of bodies.
        ("Error code: 400 - {'detail': 'The model is not deployed.'}",
         (400, None, None, "The model is not deployed.")),
        ("Error code: 400 - {'error_code': 336003, 'error_msg': 'messages must be odd'}",
         (400, None, "336003", "messages must be odd")),
        ("Error code: 400 - {'error': {'code': '400', 'message': 'Filtered', "
         "'innererror': {'code': 'ResponsibleAIPolicyViolation'}}}",
         (400, None, "ResponsibleAIPolicyViolation", "Filtered")),
        ("Connection error.", (None, None, None, "Connection error.")),
    ],
)  # fmt: skip
def test_a_text_is_taken_apart(text: str, right: Told) -> None:
    found = failures.of_text(text)
    told = (found.http_status, found.type, found.code, found.message)
    assert [one for one, known in zip(told, right, strict=True) if known is not None] == [
        known for known in right if known is not None
    ]


def test_the_providers_own_id_is_in_the_body() -> None:
    assert failures.of_text(f"Error code: 529 - {ANTHROPIC}").request_id == "req_011CRx"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("RateLimitError", 429), ("openai.RateLimitError", 429), ("<class 'openai.RateLimitError'>", 429),
        ("OpenAIRateLimitError", 429), ("BadRequestError", 400), ("ContextWindowExceededError", 400),
        ("ContentPolicyViolationError", 400), ("AuthenticationError", 401), ("PermissionDeniedError", 403),
        ("NotFoundError", 404), ("Timeout", 408), ("UnprocessableEntityError", 422),
        ("InternalServerError", 500), ("BadGatewayError", 502), ("ServiceUnavailableError", 503),
        ("google.api_core.exceptions.ResourceExhausted", 429),
        ("botocore.errorfactory.ThrottlingException", 429),
        ("OverloadedError", 529), ("AccessDeniedException", 403),
        # What says nothing of an answer: it may never have come.
        ("httpx.ReadTimeout", None), ("ConnectTimeout", None), ("requests.exceptions.ReadTimeout", None),
        ("APIConnectionError", None), ("ValueError", None), ("TimeoutError", None), ("PermissionError", None),
        ("ModuleNotFoundError", None), ("FileNotFoundError", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_class_stands_for_a_status(name: str | None, status: int | None) -> None:
    assert failures.of_class(name) == status


def exception(kind: str, message: str) -> dict[str, Any]:
    return {"events": [("exception", 1.0, {"exception.type": kind, "exception.message": message})]}


@pytest.mark.parametrize(
    ("scope", "given", "more", "right"),
    [
        # The class alone.
        ("app", {**CHAT, "error.type": "RateLimitError"}, {"error": ""}, (429, "RateLimitError", None, None)),
        ("app", CHAT, {"error": "", **exception("openai.BadRequestError", "Bad request")},
         (400, "BadRequestError", None, "Bad request")),
        # The attributes come before what the text says.
        ("app", {**CHAT, "http.response.status_code": 503, "error.type": "503"},
         {"error": f"Error code: 429 - {OPENAI}"},
         (503, "insufficient_quota", "insufficient_quota", NO_QUOTA)),
        # Version 2 of LiteLLM: the provider's code, and only there.
        ("litellm", {**CHAT, "litellm.provider.error.code": "429", "error.type": "RateLimitError"},
         {"error": "litellm.RateLimitError: Slow down."}, (429, "RateLimitError", None, "Slow down.")),
        ("litellm", {**CHAT, "litellm.provider.error.code": "model_not_found", "error.type": "NotFoundError"},
         {"error": "litellm.NotFoundError: No such model."},
         (404, "NotFoundError", "model_not_found", "No such model.")),
        # An error without the status of a failed span: OpenLLMetry's.
        ("opentelemetry.instrumentation.openai", {**CHAT, "error.type": "429"}, {}, (429, None, None, None)),
        # LangChain repeats the error in its output.
        ("openinference.instrumentation.langchain", {**LLM, "output.value": written({
            "generations": [[{"text": "", "message": {"kwargs": {"response_metadata": {
                "body": ANTHROPIC, "status_code": 529, "request_id": "req_7"}}}}]],
            "llm_output": None})}, {"error": "OverloadedError('')"}, (529, None, None, "Overloaded")),
        # Google's word without its status.
        ("app", {**CHAT, "error.code": "RESOURCE_EXHAUSTED"}, {"error": "Quota is used up."},
         (429, None, "RESOURCE_EXHAUSTED", "Quota is used up.")),
        # Semantic Kernel's classes as Python writes them.
        ("semantic_kernel.connectors", {**CHAT, "error.type": "<class 'openai.AuthenticationError'>"},
         {"error": "AuthenticationError('No key')"}, (401, "AuthenticationError", None, None)),
        # A connection that broke has no status, whatever words are in it.
        ("app", {**CHAT, "error.type": "APIConnectionError"}, {"error": "Connection error."},
         (None, "APIConnectionError", None, "Connection error.")),
    ],
)  # fmt: skip
def test_a_spans_error(scope: str, given: dict[str, Any], more: dict[str, Any], right: Told) -> None:
    event = event_of(given, scope, **more)
    assert event.error is not None
    found = (event.http_status, event.error.type, event.error.code, event.error.message)
    assert found[0] == right[0]
    assert [one for one, known in zip(found[1:], right[1:], strict=True) if known is not None] == [
        known for known in right[1:] if known is not None
    ]


def test_what_a_refused_call_answers_is_its_error_and_no_content() -> None:
    event = event_of(
        {
            **LLM,
            "input.value": "{}",
            "output.value": written(
                {
                    "generations": [
                        [{"text": "", "message": {"kwargs": {"response_metadata": {"body": OPENAI}}}}]
                    ]
                }
            ),
        },
        "openinference.instrumentation.langchain",
        error="RateLimitError('')",
    )
    assert event.output is None
    assert event.error is not None
    assert event.error.message == NO_QUOTA
    assert event.upstream_request_id is None


def test_the_providers_id_of_a_refused_call_is_kept() -> None:
    event = event_of(CHAT, error=f"Error code: 529 - {ANTHROPIC}")
    assert event.upstream_request_id == "req_011CRx"


@pytest.mark.parametrize("text", ["{" * 50_000, "Error code: 429 - " + "[" * 50_000, "(" * 100_000, "\x00"])
def test_odd_texts_are_texts(text: str) -> None:
    event = event_of(CHAT, error=text)
    assert event.error is not None


def test_a_run_of_langsmith_with_an_exception_failed_whatever_its_status() -> None:
    raised = {
        "exception.type": "Exception",
        "exception.message": "OpenAITimeoutError('Request timed out.')Traceback (most recent call last):\n\n",
    }
    given = {"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    event = event_of(given, "langsmith", events=[("exception", 1.0, raised)])
    assert event.status is Status.ERROR
    assert event.error is not None
    assert (event.error.type, event.error.message) == ("OpenAITimeoutError", "Request timed out.")
