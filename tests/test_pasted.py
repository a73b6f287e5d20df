"""What is made of what people paste into the search box."""

from __future__ import annotations

import pytest

from routescope.text import pasted

KEY = "sk-proj-abcdefghijklmnopqrstuvwx1234"


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("req_8f3a9c21", "req_8f3a9c21"),
        (' "req_8f3a9c21". ', "req_8f3a9c21"),
        ("Error code: 429 (request id: req_8f3a9c21)", "req_8f3a9c21"),
        ("x-request-id: req_8f3a9c21,", "req_8f3a9c21"),
        ("https://console.example/r/req_8f3a9c21", "req_8f3a9c21"),
        ("https://console.example/r/bad/1", "bad/1"),
        ("See <https://console.example/r/req_8f3a9c21>.", "req_8f3a9c21"),
        ("https://console.example/records/usage/?range=7d&request_id=req_8f3a9c21&x=1", "req_8f3a9c21"),
        ("https://api.example/v1/videos/video_68d7512d07848190b3e45da0", "video_68d7512d07848190b3e45da0"),
        ("https://api.example/v1/chat/completions", "https://api.example/v1/chat/completions"),
        ("http://[", "http://["),
        ("request_id=req_8f3a9c21&model=x", "req_8f3a9c21"),
        ("chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG"),
        ("", ""),
        ("   \x00 ", ""),
    ],
)
def test_the_id_is_taken_out_of_what_was_pasted(text: str, identifier: str) -> None:
    assert pasted.identifier(text) == identifier
    assert not pasted.is_key(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (KEY, "sk-…1234"),
        (f"  '{KEY}' ", "sk-…1234"),
        (f"OPENAI_API_KEY={KEY}", "sk-…1234"),
        (f"https://api.example/v1/models?key={KEY}", "sk-…1234"),
        (f"Authorization: Bearer {KEY}", "sk-…1234"),
        ("Bearer 0123456789abcdef0123", "key-…0123"),
        ("x-api-key: 0123456789abcdef0123", "key-…0123"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIza…stuv"),
        ("rsp_q7B2v9XkT4mN8cLw5Z1yRfHs3DgJ6aPe", "rsp_…6aPe"),
        ("rsk_q7B2v9XkT4mN8cLw5Z1yRfHs3DgJ6aPe", "rsk_…6aPe"),
        ("请看 hf_abcdefghijklmnopqrstuvwxyzABCDEF", "hf_…CDEF"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJ…dXJl"),
    ],
)
def test_a_key_is_masked_and_known_again(text: str, shown: str) -> None:
    assert pasted.identifier(text) == shown
    assert pasted.is_key(text)
    assert pasted.is_key(shown)
    assert pasted.identifier(shown) == shown


@pytest.mark.parametrize("text", ["password=abcd", "pwd: hunter2", "pin=1234", "otp: 123456"])
def test_a_short_secret_is_masked_whole(text: str) -> None:
    key = pasted.key_in(text)
    assert key
    shown = pasted.identifier(text)
    assert key[-3:] not in shown and pasted.is_key(shown)
    assert pasted.identifier(shown) == shown


def test_no_more_is_looked_at_than_the_boxes_take() -> None:
    assert pasted.key_in("a " * pasted.LONGEST + KEY) is None
    assert pasted.identifier(f"req_1 {'b' * 90} " + "c " * pasted.LONGEST) == "b" * 90
