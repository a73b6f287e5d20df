"""What repeats the content of a call is nowhere in its record, and an error that says so itself stays."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from logs.causes.error_forms import reads_as_error
from logs.content.echoes import Echoes
from logs.models import Level
from routescope.text.prose import LEFT_OUT
from tests.error_messages import MESSAGES
from tests.pace import at_rest
from tests.sending import Sender, sender
from tests.test_content_privacy import ANSWER, dump, policy
from tests.test_error_texts import PROMPT, PROMPT_HAN, asked, failed, reported

__all__ = ["sender"]

pytestmark = pytest.mark.django_db

ANSWER_HAN = "紫色恐龙昨天夜里偷偷吃掉了邻居祖母做的肉豆蔻布丁还唱了一首歌"
FILTERED = [
    "Response blocked by content filter: {}",
    "{} was blocked by the content filter.",
    "ContentFilterError: {}",
    "litellm.ContentPolicyViolationError: {}",
    "内容被过滤：{}",
    "{}",
]


def stored(sender: Sender, body: dict[str, Any]) -> str:
    assert sender.post("/api/v1/usage", body).json()["accepted"] == 1
    return str(sender.record("r").error_message)


def nothing_is_left() -> None:
    found = dump().decode()
    for word in ("velociraptor", "恐龙", quote("恐龙"), quote("恐龙").lower()):
        assert word not in found


# --- What the model had said


@pytest.mark.parametrize("around", FILTERED)
@pytest.mark.parametrize("said", [ANSWER, ANSWER_HAN])
def test_most_of_an_error_may_be_what_the_model_had_said(sender: Sender, around: str, said: str) -> None:
    stored(sender, failed("r", around.format(said), input=asked("Hm?"), output={"text": said}))
    nothing_is_left()


@pytest.mark.parametrize("around", ["{}", "Error: {}", "{} (request id: 2026112)", "openai.APIError: {}"])
def test_an_error_stays_that_says_more_than_the_output_that_repeats_it(sender: Sender, around: str) -> None:
    messages = [*reported(), *MESSAGES]
    bodies = [
        failed(f"r{n}", around.format(text), input=asked(PROMPT), output={"text": text})
        for n, text in enumerate(messages)
    ]
    sender.post("/api/v1/usage", bodies)
    for number, text in enumerate(messages):
        assert sender.record(f"r{number}").error_message == around.format(text)


def test_an_output_that_repeats_an_error_hides_nothing_else(sender: Sender) -> None:
    policy(Level.FULL, gateway=sender.gateway)
    message = f"Invalid value: '{PROMPT}'"
    answer = {"text": f"BadRequestError: {message} In other words: {ANSWER}, said the model"}
    body = failed("r", message, input=asked(PROMPT), output=answer, metadata={"summary": ANSWER})
    assert stored(sender, body) == f"Invalid value: '{LEFT_OUT}'"
    nothing_is_left()


# --- What was asked


@pytest.mark.parametrize("message", [PROMPT, PROMPT[5:], PROMPT_HAN, PROMPT_HAN[3:], PROMPT[12:48]])
@pytest.mark.parametrize("level", list(Level))
def test_an_error_that_is_nothing_but_what_was_asked_goes(sender: Sender, message: str, level: Level) -> None:
    policy(level, gateway=sender.gateway)
    attempts = [{"error": message}, {"error": {"message": message, "detail": message}}, {"reason": message}]
    asked_too = asked(f"Say hello. {PROMPT}. {PROMPT_HAN}。")
    stored(sender, failed("r", message, input=asked_too, attempts=attempts))
    nothing_is_left()


@pytest.mark.parametrize("around", ["Earlier I got: {} What now?", "{}", "Error: {}\nAnother line."])
def test_an_agent_that_has_met_an_error_before_may_meet_it_again(sender: Sender, around: str) -> None:
    messages = [*reported(), *MESSAGES]
    bodies = [
        failed(f"r{n}", text, input=asked(around.format(text)), attempts=[{"error": text}])
        for n, text in enumerate(messages)
    ]
    sender.post("/api/v1/usage", bodies)
    for number, text in enumerate(messages):
        record = sender.record(f"r{number}")
        assert record.error_message == text
        assert record.attempts == [{"error": text}]


def test_what_was_asked_goes_from_an_error_that_an_agent_has_met_before(sender: Sender) -> None:
    message = f"Invalid value: '{PROMPT}'"
    turns = [{"role": "user", "content": PROMPT}, {"role": "tool", "content": f"Error: {message}"}]
    assert stored(sender, failed("r", message, input={"messages": turns})) == f"Invalid value: '{LEFT_OUT}'"


def test_what_people_ask_and_models_answer_reads_as_no_error() -> None:
    for text in (PROMPT, PROMPT_HAN, ANSWER, ANSWER_HAN, f"{PROMPT}. {'And so on. ' * 40} Invalid request."):
        assert not reads_as_error(text)
    for text in [*reported(), *MESSAGES]:
        assert reads_as_error(text), text


# --- In addresses


def _lower(text: str) -> str:
    return quote(text, safe="").replace("%E", "%e").replace("%B", "%b").replace("%A", "%a")


@pytest.mark.parametrize("text", [PROMPT, PROMPT_HAN, PROMPT[:58], PROMPT_HAN[4:], f"{PROMPT}\n{PROMPT_HAN}"])
@pytest.mark.parametrize(
    "encoded", [quote, quote_plus, _lower, partial(quote, safe=""), lambda text: quote(quote(text))]
)
@pytest.mark.parametrize(
    "around",
    [
        "Client error '400 Bad Request' for url 'https://image.example/prompt/{}'\n"
        "For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/400",
        "GET https://image.example/x?prompt={}&width=1024 failed with 400",
    ],
)
def test_an_echo_goes_that_an_address_holds(sender: Sender, text: str, encoded: Any, around: str) -> None:
    message = around.format(encoded(text))
    asked_too = asked(f"{PROMPT}\n{PROMPT_HAN}")
    assert stored(sender, failed("r", message, input=asked_too)) == around.format(LEFT_OUT)
    nothing_is_left()


def test_an_echo_goes_that_was_cut_within_a_letter(sender: Sender) -> None:
    message = f"no such file: /prompt/{quote(PROMPT_HAN)[:-4]}"
    assert stored(sender, failed("r", message, input=asked(PROMPT_HAN))).startswith(
        f"no such file: /prompt/{LEFT_OUT}"
    )
    nothing_is_left()


@pytest.mark.parametrize(
    "message", ["100%25 of 5%ab+c+d", "a+b+c", "GET /v1/models/x%2Fy%20z failed", "%E8%AF", "%"]
)
def test_what_else_is_encoded_stays(sender: Sender, message: str) -> None:
    assert stored(sender, failed("r", message, input=asked(PROMPT))) == message


@pytest.mark.parametrize("size", [1_000, 60_000])
def test_a_part_of_long_content_goes_in_any_script(size: int) -> None:
    han = "".join(chr(0x4E00 + number * 7919 % 3_000) for number in range(size))
    latin = " ".join(f"word{number * 7919 % 3_000}" for number in range(size))
    texts = [f"{latin} {PROMPT} {latin}", f"{han}。{PROMPT_HAN}。{han}"]
    for around, echo in (
        ("坏请求 '{}…'", PROMPT_HAN[3:25]),
        ("and so on, and so on '{}…'", PROMPT[5:60]),
        ("Client error for url 'https://x.example/?prompt={}&n=1'", quote(PROMPT_HAN[3:25])),
    ):
        assert Echoes(texts).without(around.format(echo)) == around.format(LEFT_OUT)


def test_past_the_bound_on_work_echoes_are_found_in_any_script() -> None:
    han = "".join(chr(0x4E00 + number * 7919 % 3_000) for number in range(10_000))
    content = Echoes([f"{han}。{PROMPT_HAN}。{PROMPT}。{han}"])
    content.without("one two three four five six " * 400)
    assert content.without(f"坏请求 '{PROMPT_HAN[3:25]}…'") == f"坏请求 '{LEFT_OUT}…'"
    assert content.without(f"bad '{PROMPT[5:60]}…'") == f"bad '{LEFT_OUT}…'"


# --- Work


class Counted(str):
    """A text that counts how many letters were gone through to find something in it."""

    work = 0

    def __contains__(self, text: object) -> bool:
        Counted.work += len(self)
        return super().__contains__(text)  # type: ignore[operator]


@pytest.mark.parametrize(
    "text", ["no", "upstream said no", "the limit of the tokens is", "上游没有返回任何数据"]
)
def test_many_short_texts_are_no_more_work_than_a_bound(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Echoes(["The quick brown fox jumps over it. " * 120_000])
    monkeypatch.setattr(content, "_haystack", Counted(content._haystack))
    Counted.work = 0
    for number in range(1_000):
        assert content.without(f"{number} {text}") == f"{number} {text}"
        content.are_repeated_by_value(f"{number} {text}")
        content.are_repeated_by_name(f"{number} {text}")
    assert Counted.work <= 60_000_000


@pytest.mark.parametrize(
    "seed",
    ["%25", "%", "+", "a+", "%E8%AF%B7", "a b c ", "(a b c) ", "a b c ...... ", f"'{PROMPT}' ", "请把我"],
)
def test_time_grows_with_the_length_of_an_error_and_not_with_its_square(seed: str) -> None:
    texts = [PROMPT, PROMPT_HAN, "a b c d e f g h", "the limit of the tokens is reached"]
    short, long = ((seed * (size // len(seed))) for size in (8 * 1024, 128 * 1024))
    Echoes(texts).without(short)
    # Sixteen times the length: the square of that is 256.
    assert _seconds(texts, long) < 64 * max(_seconds(texts, short), 0.001)


def _seconds(texts: list[str], message: str) -> float:
    return min(at_rest(partial(Echoes(texts).without, message)) for _ in range(3))


# --- In what is no error


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("text", [PROMPT, ANSWER, PROMPT_HAN, "my aunt's purple velociraptor"])
def test_no_field_of_a_record_repeats_the_content(sender: Sender, level: Level, text: str) -> None:
    policy(level, gateway=sender.gateway)
    fields = {
        "billing": {"item": text, "lines": [{"unit": text, "amount": 1}], text: 2},
        "endpoint": f"/v1/images/{quote(text)}?prompt={quote_plus(text)}&q={text}",
        "channel": text,
        "provider": text,
        "user_agent": f"client/1.0 {text}",
        "parameters": {"note": text},
        "metadata": {"note": text},
        "attempts": [{"channel": text, "note": text, text: 1, "error": text, "more": [{text: text}]}],
    }
    content = {"input": asked(PROMPT + "\n" + PROMPT_HAN), "output": {"text": ANSWER}}
    for number, (name, value) in enumerate(fields.items()):
        body = failed(f"r{number}", None, error={"type": "t", "code": "c"}, **content) | {name: value}
        assert sender.post("/api/v1/usage", body).json()["accepted"] == 1
    nothing_is_left()


@pytest.mark.parametrize("level", list(Level))
def test_names_stay_that_content_tells_of(sender: Sender, level: Level) -> None:
    policy(level, gateway=sender.gateway)
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)"
    names = {
        "provider": "openai",
        "channel": "Azure East",
        "user_agent": agent,
        "endpoint": "/v1/chat/completions?api-version=2024-10-21",
    }
    texts = [*names.values(), "gpt-5 mini", f"requests.get(url, headers={{'User-Agent': '{agent}'}})"]
    texts += ["status", "channel", "required", "temperature", "metadata"]
    more: dict[str, Any] = {
        "attempts": [{"channel": "east", "status": "error", "more": {"status": "required"}}],
        "parameters": {"tool_choice": "required", "temperature": 1},
        "metadata": {"status": "required", "channel": "east"},
    }
    billing = {"source": "catalogue", "lines": [{"name": "input tokens", "amount": "0.1"}]}
    turns = {"messages": [{"role": "user", "content": text} for text in texts]}
    sender.post("/api/v1/usage", failed("r", None, input=turns, billing=billing, **names, **more))
    record = sender.record("r")
    kept = {**names, **more}
    assert {name: getattr(record, name) for name in kept} == kept
    assert (record.billing or {}).get("sent", record.billing) == billing


@pytest.mark.parametrize("name", ["provider", "channel", "user_agent"])
def test_a_sentence_in_chinese_is_no_name(sender: Sender, name: str) -> None:
    body = failed("r", None, error={"type": "t"}) | {name: PROMPT_HAN, "status": "success", "error": None}
    assert sender.post("/api/v1/usage", body).json()["accepted"] == 1
    assert getattr(sender.record("r"), name) == LEFT_OUT
    nothing_is_left()


def test_content_in_json_of_a_string_goes_too(sender: Sender) -> None:
    body = json.dumps({"prompt": PROMPT_HAN})
    message = f"bad body: {quote(body)}"
    stored(sender, failed("r", message, input=asked(PROMPT_HAN)))
    nothing_is_left()
