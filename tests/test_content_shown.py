"""Content in the details: as a conversation or raw, or the reason why there is none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import Gateway, User
from logs.models import ContentPolicy, Level, UsageContent, UsageRecord
from logs.record.conversation import conversation
from tests.cast import event, just_now, signed_in, store
from tests.test_details import details

INPUT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What is this? <b>Mail me@example.com</b>"},
            {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
            {"type": "image_url", "image_url": {"url": "http://plain.example/dog.png"}},
        ]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "look_up", "arguments": '{"q": "cat"}'}}]},
        {"role": "tool", "name": "look_up", "content": "a cat"},
    ]
}  # fmt: skip
OUTPUT = {"choices": [{"message": {"role": "assistant", "content": "A cat."}}]}


def kept(gateway: Gateway, level: Level | None, **fields: Any) -> UsageRecord:
    if level is not None:
        ContentPolicy.objects.update_or_create(gateway=gateway, defaults={"level": level})
    sent = event(
        **{
            "created_at": just_now() - timedelta(hours=1),
            "input": json.dumps(INPUT).encode(),
            "output": json.dumps(OUTPUT).encode(),
            **fields,
        },
    )
    store(gateway, sent)
    return UsageRecord.objects.get(request_id=sent.request_id)


def test_a_conversation_shows_roles_tools_and_images_by_https(alice_client: Client, gateway: Gateway) -> None:
    page = details(alice_client, kept(gateway, Level.FULL))
    for text in (
        "System",
        "Be brief.",
        "Calls look_up",
        "Result of look_up",
        "A cat.",
        "Image at images.example",
    ):
        assert text in page, text
    assert "&lt;b&gt;Mail me@example.com&lt;/b&gt;" in page
    assert "plain.example" not in page.split("Raw JSON")[0]
    assert "Hidden: only images at https addresses are shown." in page
    assert "<img" not in page


def test_redacted_content_says_so(alice_client: Client, gateway: Gateway) -> None:
    page = details(alice_client, kept(gateway, Level.REDACTED))
    assert "Redacted: secrets" in page and "[redacted e-mail]" in page and "me@example.com" not in page


def test_what_is_not_there_says_why(alice_client: Client, gateway: Gateway) -> None:
    assert "Never captured: the gateway sent neither" in details(
        alice_client, kept(gateway, None, input=None, output=None)
    )
    assert "Never captured: the content policy" in details(alice_client, kept(gateway, None))
    record = kept(gateway, Level.FULL)
    with override_settings(ENCRYPTION_KEYS=["other"]):
        assert "Unreadable: the key" in details(alice_client, record)
    with override_settings(CONTENT_MAX_BYTES=1024):
        long = kept(gateway, Level.FULL, input=json.dumps({"prompt": "x" * 5000}).encode())
    assert "Truncated: at most" in details(alice_client, long)
    UsageContent.objects.all().delete()
    assert "Removed" in details(alice_client, record)


def test_expired_content_says_so_even_before_it_is_dropped(alice_client: Client, gateway: Gateway) -> None:
    record = kept(gateway, Level.FULL, created_at=timezone.now() - timedelta(days=32))
    page = details(alice_client, record)
    assert "Expired: content is kept for 30 days." in page and "A cat." not in page


def test_a_strangers_content_is_not_found(charlie: User, alice: User, gateway: Gateway) -> None:
    record = kept(gateway, Level.FULL)
    assert signed_in(charlie).get(f"/records/usage/{record.pk}/details/").status_code == 404
    assert signed_in(charlie).get(f"/records/usage/{record.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("sent", "answered", "expected"),
    [
        ("Hi", "Hello", [("user", "Hi"), ("assistant", "Hello")]),
        ({"system": "Be", "messages": [{"role": "user", "content": "Hi"}]},
         {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
         [("system", "Be"), ("user", "Hi"), ("assistant", "Hello")]),
        ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
         {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}}]},
         [("user", "Hi"), ("model", "Hello")]),
        ({"instructions": "Be", "input": "Hi"},
         {"output": [{"type": "message", "role": "assistant",
                      "content": [{"type": "output_text", "text": "Hello"}]}]},
         [("system", "Be"), ("user", "Hi"), ("assistant", "Hello")]),
        ([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
         [{"role": "assistant", "parts": [{"type": "text", "content": "Hello"}]}],
         [("user", "Hi"), ("assistant", "Hello")]),
        ({"prompt": "Hi"}, {"choices": [{"text": "Hello"}]}, [("user", "Hi"), ("assistant", "Hello")]),
        (None, {"strange": 1}, []),
        (12, ["a", {"b": []}], [("assistant", "a")]),
    ],
)  # fmt: skip
def test_every_providers_shape_is_a_conversation(
    sent: Any, answered: Any, expected: list[tuple[str, str]]
) -> None:
    turns = conversation(sent, answered)
    assert [(turn.role, turn.parts[0].text) for turn in turns] == expected


def test_images_are_loaded_by_https_alone_and_only_on_the_records_own_page(
    alice_client: Client, gateway: Gateway
) -> None:
    record = kept(gateway, Level.FULL)
    answer = alice_client.get(f"/records/usage/{record.pk}/")
    page = answer.content.decode()
    assert '<img class="turn-image" src="https://images.example/cat.png"' in page
    assert 'referrerpolicy="no-referrer"' in page and 'src="http://' not in page
    [images] = [part for part in answer["Content-Security-Policy"].split("; ") if part.startswith("img-src")]
    assert images.split() == ["img-src", "'self'", "data:", "https:"]
    elsewhere = alice_client.get("/records/usage/")["Content-Security-Policy"]
    assert "https:" not in elsewhere
