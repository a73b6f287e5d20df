"""Errors keep their own words; secrets and what repeats the content that came with them go."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.gateways import error_texts
from accounts.models import ErrorTexts, Gateway, User
from logs.maintenance.rejudging import rejudge
from logs.models import Cause, Level, Status, UsageRecord
from routescope.text.prose import LEFT_OUT
from tests import secret_kinds
from tests.error_messages import MESSAGES
from tests.sending import Sender, sender
from tests.test_content_privacy import dump, policy

__all__ = ["sender"]

pytestmark = pytest.mark.django_db

_REPORTS = Path(__file__).parents[2] / "shared" / "cases" / "reports" / "24-error-causes.json"
RECENT = timezone.now() - timedelta(hours=2)
PROMPT = "Dear Doctor Okonkwo, my aunt's purple velociraptor refuses its nutmeg pudding since Tuesday"
PROMPT_HAN = "请把我祖母留下的紫色恐龙布丁食谱翻译成世界语并且念给邻居听"
LONG = (
    " ".join(MESSAGES)
    + " The quick brown fox of the request is not a valid number of tokens in the limit. " * 400
)


def reported() -> list[str]:
    if not _REPORTS.is_file():
        return []
    return [one["record"]["error"]["message"] for one in json.loads(_REPORTS.read_text())]


def failed(request_id: str, message: str | None, **more: Any) -> dict[str, Any]:
    error = {"type": "invalid_request_error", "code": "bad", "message": message, **more.pop("error", {})}
    return {
        "request_id": request_id,
        "created_at": RECENT.isoformat(),
        "user": "alice@example.com",
        "token": "prod",
        "model": "gpt-5",
        "status": "error",
        "http_status": 400,
        "error": error,
        **more,
    }


def asked(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_there_are_seventy_messages() -> None:
    if not _REPORTS.is_file():
        pytest.skip("The reported errors (../shared/cases) are not on this machine: 35 of our own are tried.")
    assert len(reported()) + len(MESSAGES) >= 70


@pytest.mark.parametrize("given", [None, PROMPT, PROMPT_HAN, "tokens", "error", LONG[-30_000:]])
def test_an_error_keeps_its_words_whatever_was_asked(sender: Sender, given: str | None) -> None:
    messages = [*reported(), *MESSAGES]
    content = {} if given is None else {"input": asked(given)}
    sender.post("/api/v1/usage", [failed(f"r{n}", text, **content) for n, text in enumerate(messages)])
    for number, text in enumerate(messages):
        assert sender.record(f"r{number}").error_message == text


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("prompt", [PROMPT, PROMPT_HAN])
@pytest.mark.parametrize(
    "around",
    ["{error} Invalid value: '{prompt}'.", "{error} prompt: {prompt}", '{error} {{"content": "{prompt}"}}'],
)
def test_an_echo_goes_and_the_words_around_it_stay(
    sender: Sender, prompt: str, around: str, level: Level
) -> None:
    policy(level, gateway=sender.gateway)
    messages = [*reported(), *MESSAGES]
    told = [around.format(error=error, prompt=prompt) for error in messages]
    sender.post("/api/v1/usage", [failed(f"r{n}", text, input=asked(prompt)) for n, text in enumerate(told)])
    for number, error in enumerate(messages):
        stored = str(sender.record(f"r{number}").error_message)
        assert stored == around.format(error=error, prompt=LEFT_OUT)
    assert prompt[:20].encode() not in dump()


@pytest.mark.parametrize("cut", [PROMPT[:60], PROMPT[31:], PROMPT_HAN[:14]])
def test_a_part_of_what_was_asked_goes_too(sender: Sender, cut: str) -> None:
    sender.post("/api/v1/usage", failed("r", f"Bad input '{cut}…'", input=asked(f"{PROMPT}\n{PROMPT_HAN}")))
    stored = str(sender.record("r").error_message)
    assert (
        stored.startswith(f"Bad input '{LEFT_OUT}") and "velociraptor" not in stored and "恐龙" not in stored
    )


@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_escaped_echo_goes_too(sender: Sender, ascii_only: bool) -> None:
    prompt = f'Say "no" to\n{PROMPT}\n{PROMPT_HAN}'
    body = json.dumps({"role": "user", "content": prompt}, ensure_ascii=ascii_only)
    sender.post("/api/v1/usage", failed("r", f"Malformed input request: {body}, retry", input=asked(prompt)))
    assert sender.record("r").error_message == (
        f'Malformed input request: {{"role": "user", "content": "{LEFT_OUT}"}}, retry'
    )


def test_secrets_go_from_every_message(sender: Sender) -> None:
    kinds = list(secret_kinds.BY_SHAPE.values())
    planted = [secret_kinds.drawn(kinds[n % len(kinds)], str(n))[0] for n in range(len(MESSAGES))]
    sender.post(
        "/api/v1/usage",
        [failed(f"r{n}", f"{text} key: {planted[n]}") for n, text in enumerate(MESSAGES)],
    )
    for number, text in enumerate(MESSAGES):
        assert sender.record(f"r{number}").error_message == f"{text} key: [redacted secret]"


@pytest.mark.parametrize(
    "answer", ["{}", "Error: {}", "Traceback (most recent call last): openai.BadRequest: {}"]
)
def test_an_error_stays_that_came_for_an_answer_too(sender: Sender, answer: str) -> None:
    """LangChain's tracer gives the error as the output."""
    sender.post(
        "/api/v1/usage",
        [
            failed(f"r{n}", text, input=asked(PROMPT), output={"text": answer.format(text)})
            for n, text in enumerate(MESSAGES)
        ],
    )
    for number, text in enumerate(MESSAGES):
        assert sender.record(f"r{number}").error_message == text


def test_what_the_model_had_said_goes(sender: Sender) -> None:
    said = "Tell the velociraptor a bedtime story about glittering marmalade"
    message = f"The answer was filtered: '{said}'"
    sender.post("/api/v1/usage", failed("r", message, input=asked("Hm?"), output={"text": said}))
    assert sender.record("r").error_message == f"The answer was filtered: '{LEFT_OUT}'"


# --- What the operator may choose


def test_long_quotes_are_cut_where_that_is_chosen(sender: Sender, alice_client: Client) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CUT_QUOTES)
    message = (
        "You don't have access: 'one two three four five six' and 'gpt-5' aren't “here for you at all now”"
    )
    sender.post("/api/v1/usage", failed("r", message))
    record = sender.record("r")
    assert record.error_message == "You don't have access: '[… 6 words]' and 'gpt-5' aren't “[… 6 words]”"
    page = alice_client.get(f"/records/usage/{record.pk}/").content.decode()
    assert "Quoted values of more than five words" in page


def test_type_and_code_alone_are_kept_where_that_is_chosen(
    sender: Sender, alice_client: Client, alice: User
) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    sender.post(
        "/api/v1/usage",
        failed("r", f"Rate limit reached: {PROMPT}", error={"type": "x", "code": "y"}, http_status=500),
    )
    record = sender.record("r")
    assert (record.error_message, record.error_type, record.error_code) == (error_texts.NOT_KEPT, "x", "y")
    assert record.cause == Cause.RATE_LIMIT, "it is judged before anything is cut"
    assert rejudge() == 0, "what was judged from the whole is not judged from the rest"
    assert sender.record("r").cause == Cause.RATE_LIMIT
    page = alice_client.get(f"/records/usage/{record.pk}/").content.decode()
    assert "Only the type and code" in page
    assert "Judged by earlier rules" not in page
    assert b"velociraptor" not in dump()


def test_attempts_follow_the_gateways_choice(sender: Sender) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    attempts = [{"channel": "a", "error": {"message": f"no: {PROMPT}"}}, {"error": f"400 {PROMPT}"}]
    sender.post("/api/v1/usage", failed("r", "no", attempts=attempts))
    assert b"velociraptor" not in dump()


def test_type_and_code_of_attempts_are_kept_too(sender: Sender) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    attempts: list[dict[str, Any]] = [
        {
            "channel": "7",
            "status": "error",
            "http_status": 429,
            "error": {"type": "new_api_error", "code": "rate_limit", "message": f"Rate limit: {PROMPT}"},
        },
        {
            "error": {
                "status_code": 400,
                "type": PROMPT,
                "Code": "bad",
                "more": {"param": "n", "said": PROMPT},
            }
        },
        {"code": "rate_limit", "message": PROMPT, "error_msg": "no, no and no", "exception": [PROMPT]},
        {"error": {PROMPT: 1}},
    ]
    sender.post("/api/v1/usage", failed("r", "no", attempts=attempts))
    cut = error_texts.NOT_KEPT
    assert sender.record("r").attempts == [
        {**attempts[0], "error": {"type": "new_api_error", "code": "rate_limit", "message": cut}},
        {"error": {"status_code": 400, "type": cut, "Code": "bad", "more": {"param": "n", "said": cut}}},
        {"code": "rate_limit", "message": cut, "error_msg": cut, "exception": [cut]},
        {"error": {cut: 1}},
    ]
    assert b"velociraptor" not in dump()


@pytest.mark.parametrize("kept", list(ErrorTexts))
@pytest.mark.parametrize("level", list(Level))
def test_what_is_named_a_secret_is_none_of_an_attempts(
    sender: Sender, kept: ErrorTexts, level: Level
) -> None:
    policy(level, gateway=sender.gateway)
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=kept)
    secrets = {
        "api_key": "correcthorsebattery",
        "password": "hunter2hunter",
        "sk-proj-ABCD1234EFGH5678IJKL": "v",
    }
    pair = {"name": "password", "value": "swordfishing"}
    attempts = [secrets, pair, {"error": secrets}, {"error": [pair]}, {"more": secrets}, {"message": pair}]
    sender.post("/api/v1/usage", failed("r", "no", input=asked(PROMPT), attempts=attempts))
    found = dump()
    for secret in (b"correcthorsebattery", b"hunter2hunter", b"sk-proj-ABCD", b"swordfishing"):
        assert secret not in found
    assert len(sender.record("r").attempts) == len(attempts)


def test_quotes_are_found_in_linear_time_and_apostrophes_are_none() -> None:
    for text in ("'", '"', "a' '", "“", "'a ", "don't "):
        error_texts.without_long_quotes(text * 50_000)
    for harmless in (
        *MESSAGES[:2],
        "it's the user's own 'x' value",
        "'unclosed quote of many words that goes on",
    ):
        assert error_texts.without_long_quotes(harmless) == harmless


def test_every_stored_error_is_of_the_status_it_came_with(sender: Sender) -> None:
    sender.post("/api/v1/usage", failed("r", None))
    record = UsageRecord.objects.get()
    assert record.status == Status.ERROR and record.error_message is None
    assert error_texts.note(record.error_message) is None
