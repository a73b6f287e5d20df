"""LiteLLM's failures: the HTTP status, wherever it stands, and why the call failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logs.causes.judging import judge
from logs.ingest.formats import litellm
from logs.models import Cause, Status
from logs.models.events import UsageEvent

# litellm/exceptions.py: the class that LiteLLM maps an error to, and the status it stands for.
CLASSES = {
    "BadRequestError": 400, "UnsupportedParamsError": 400, "ContextWindowExceededError": 400,
    "ContentPolicyViolationError": 400, "AuthenticationError": 401, "PermissionDeniedError": 403,
    "NotFoundError": 404, "Timeout": 408, "UnprocessableEntityError": 422, "RateLimitError": 429,
    "InternalServerError": 500, "BadGatewayError": 502, "ServiceUnavailableError": 503,
}  # fmt: skip


def failed(message: str = "It did not work.", **information: Any) -> UsageEvent:
    payload = {
        "id": "x", "status": "failure", "startTime": 1_773_144_000.0, "model": "m", "error_str": message,
        "error_information": {"error_message": message, "error_code": "", **information},
    }  # fmt: skip
    ((_, event),) = litellm.decode(json.dumps([payload]).encode()).events
    assert event.status is Status.ERROR
    return event


@pytest.mark.parametrize(("name", "status"), CLASSES.items())
@pytest.mark.parametrize("code", ["", None, "some_word"])
def test_a_status_that_only_the_class_tells(name: str, status: int, code: str | None) -> None:
    event = failed(error_class=name, error_code=code)
    assert event.http_status == status
    assert event.error is not None
    assert (event.error.type, event.error.code) == (name, code or None)


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("litellm.APIError: Error code: 402 - {'error': {'message': 'No money.', 'code': 'no_credit'}}", 402,
         "no_credit"),
        ('litellm.APIError: AnthropicException - status_code: 529, body: {"error": {"message": "Busy"}}', 529,
         None),
    ],
)  # fmt: skip
def test_a_status_that_only_the_message_tells(message: str, status: int, code: str | None) -> None:
    event = failed(message, error_class="APIError")
    assert event.http_status == status
    assert event.error is not None
    assert event.error.code == code
    # The words stay as they came.
    assert event.error.message == message


def test_the_number_that_was_sent_comes_first() -> None:
    assert failed(error_class="BadRequestError", error_code="402").http_status == 402


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ReadError",
            "Response payload is not completed. ConnectionResetError(104, 'Connection reset by peer')",
        ),
        ("RemoteProtocolError", "peer closed connection without sending complete message body"),
        ("ClientPayloadError", "Response payload is not completed"),
    ],
)
def test_a_stream_that_was_dropped_is_the_gateways(name: str, message: str) -> None:
    event = failed(message, error_class=name)
    assert event.http_status is None
    assert judge(event) is Cause.GATEWAY
