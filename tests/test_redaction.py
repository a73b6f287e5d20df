"""Secrets, e-mail addresses, phone and card numbers go; counts, times, IDs and prices stay."""

from __future__ import annotations

import pytest

from routescope.text.redaction import redacted, redacted_json, without_secrets_in_name
from routescope.text.remembering import LONGEST, remembered
from tests import linear, secret_kinds

PLANTED = [
    "sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx",
    "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789-AA",
    "rsk_q7B2v9XkT4mN8cLw5Z1yRfHs3DgJ6aPe",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "alice.smith+work@mail.example.co.uk",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "+49 30 12345678",
    "+1 (415) 555-0132",
    "(415) 555-0132",
    "415-555-0132",
    "13812345678",
]


@pytest.mark.parametrize("secret", PLANTED)
@pytest.mark.parametrize(
    "around", ["{}", "My secret is {}, keep it.", '{{"note": "{}"}}', "Call {} now", "line\n{}\nline"]
)
def test_what_was_planted_is_gone(secret: str, around: str) -> None:
    text = redacted(around.format(secret))
    assert secret not in text
    assert "[redacted" in text


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("password: hunter2!", "hunter2"),
        ('{"password":"hunter2!"}', "hunter2"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("postgres://app:s3cr3tpw@db.internal/app", "s3cr3tpw"),
        ("api_key=0123456789abcdef", "0123456789abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ],
)
def test_what_is_named_a_secret_is_gone(text: str, gone: str) -> None:
    assert gone not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 128000 tokens, you sent 140211.",
        "req_011CSHoEeqs5C35K2UUqR7Fy failed at 2026-11-21 23:08:03.123",
        "chatcmpl-9aBcDeFgHiJkLmNoPqRsTuVwXyZ12",
        "0b7f7c3e-4b0f-4d6e-9a51-1f2d3c4b5a69",
        "Limit 30000, Used 29560, Requested 1204. Please try again in 1.528s.",
        "1763766483123 is a time in milliseconds",
        "0.000123456789 USD for 1,234,567 tokens",
        "gpt-4o-mini-2024-07-18",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


AROUND = (
    "{}",
    "key_of_{}",
    "请用{}访问",
    '\\"{}\\"',
    "<a>{}</a>",
    "https://x.example/?q={}&a=1",
    "The value '{}'.",
    "line\n{}\nline",
)


@pytest.mark.parametrize("kind", secret_kinds.BY_SHAPE)
def test_a_secret_of_a_known_shape_goes_wherever_it_stands(kind: str) -> None:
    for seed in "abcd":
        secret, _ = secret_kinds.drawn(secret_kinds.BY_SHAPE[kind], seed)
        for around in AROUND:
            assert secret not in redacted(around.format(secret)), around.format(secret)


@pytest.mark.parametrize("kind", secret_kinds.NAMED)
def test_a_secret_that_is_named_goes_however_it_is_written(kind: str) -> None:
    for seed in "abcd":
        text, drawn = secret_kinds.drawn(secret_kinds.NAMED[kind], seed)
        clean = redacted(text)
        assert clean != text
        for part in drawn:
            assert part not in clean, text


@pytest.mark.parametrize("text", secret_kinds.HARMLESS)
def test_no_word_of_a_harmless_text_goes(text: str) -> None:
    assert redacted(text) == text


def test_enough_kinds_are_tried() -> None:
    assert len(secret_kinds.BY_SHAPE) + len(secret_kinds.NAMED) >= 90
    assert len(secret_kinds.HARMLESS) >= 60


@pytest.mark.parametrize("kind", secret_kinds.BY_SHAPE)
def test_a_name_that_holds_a_secret_stays_one_name(kind: str) -> None:
    one, other = (secret_kinds.drawn(secret_kinds.BY_SHAPE[kind], seed)[0] for seed in "ab")
    named = without_secrets_in_name(f"prod {one}")
    assert one not in named and named.startswith("prod ")
    assert without_secrets_in_name(named) == named
    assert without_secrets_in_name(f"prod {other}") != named


@pytest.mark.parametrize(
    "piece", ["key-", "sk-", "sk_a1", "password=", "a=b;", "token is ", "eyJ", "'", "a.b:"]
)
def test_time_grows_with_the_length_of_a_text(piece: str) -> None:
    # Half as long as where one pattern alone is tried: here are all of them.
    linear.check(redacted, [lambda size: piece * (size // 2 // len(piece))])


def test_json_is_redacted_in_depth_keys_and_card_numbers_too() -> None:
    value = {
        "a": [{"api_key": "short"}, "x@example.com"],
        "me@example.com": 1,
        "card": 4111111111111111,
        "n": 12,
    }
    text = str(redacted_json(value))
    assert "short" not in text and "@example.com" not in text and "4111" not in text
    assert redacted_json({"n": 12, "at": 1763766483123456, "t": True}) == {
        "n": 12,
        "at": 1763766483123456,
        "t": True,
    }


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"value": "hunter2hunter"}},
        {"api_key": {"type": "plain", "value": "hunter2hunter"}},
        {"auth": [{"password": [{"val": "hunter2hunter"}]}]},
        {"headers": [{"name": "x-api-key", "value": {"value": "hunter2hunter"}}]},
        {"password": ["hunter2hunter", ["hunter2hunter"]]},
    ],
)
def test_the_name_of_a_field_is_that_of_the_value_within_it(value: object) -> None:
    assert "hunter2" not in str(redacted_json(value))


def test_long_texts_are_not_remembered() -> None:
    asked: list[str] = []

    @remembered(10)
    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    short, long = "a" * LONGEST, "a" * (LONGEST + 1)
    assert [length(short), length(short), length(long), length(long)] == [LONGEST] * 2 + [LONGEST + 1] * 2
    assert asked == [short, long, long]
