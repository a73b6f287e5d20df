"""What a dump of the whole database holds of what people wrote, under each policy."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone

from accounts.gateways.error_texts import NOT_KEPT
from accounts.models import ApiToken, ErrorTexts, Gateway, Group, User
from logs.content import contents
from logs.ingest import batches
from logs.models import ContentPolicy, Level, Status, UsageContent, UsageRecord
from logs.models.events import Failure
from tests.cast import event, store
from tests.sending import Sender, sender
from tests.sums import check_rollups
from tests.test_redaction import PLANTED

__all__ = ["sender"]

RECENT = timezone.now() - timedelta(hours=2)
PROMPT = "Dear Doctor Okonkwo, my aunt's purple velociraptor refuses its nutmeg pudding"
ANSWER = "Tell the velociraptor a bedtime story about glittering marmalade"
OWN = "Only this message quotes zebras juggling turnips at midnight"


def dump() -> bytes:
    """Return every row of every table as text, as a dump of the database would hold it."""
    found = b""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            with cursor.copy(f"COPY {table} TO STDOUT") as copy:
                found += b"".join(copy)
    return found


def everywhere(prompt: str, answer: str, own: str) -> dict[str, Any]:
    """A native record that carries the texts wherever a gateway may put them."""
    return {
        "request_id": "req_1",
        "created_at": RECENT.isoformat(),
        "user": "alice@example.com",
        "token": "prod",
        "group": "vip",
        "model": "gpt-4o",
        "status": "error",
        "http_status": 400,
        "input": {"messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}]},
        "output": {"choices": [{"message": {"role": "assistant", "content": answer}}]},
        "error": {
            "type": "invalid_request_error",
            "message": f"Invalid value in messages[0].content: '{prompt}'. The model had said: {answer}."
            f" {own}.",
            "param": "messages",
        },
        "parameters": {
            "temperature": 0.5,
            "prompt": prompt,
            "messages": [{"role": "user", "content": own}],
            "stop": [prompt],
            "extra": {"deep": [{"note": own}]},
        },
        "metadata": {"summary": prompt, own: 1, "tags": [answer, "batch"], "trace": "trace-0001"},
        "attempts": [
            {"channel": "a", "status": "error", "error": f"400: {prompt}"},
            {"error": {"message": own}},
        ],
    }


def words(text: str) -> list[str]:
    """Every three words in a row: no part of a text may be found either."""
    parts = text.split()
    return [" ".join(parts[i : i + 3]) for i in range(len(parts) - 2)]


def policy(level: Level, **of: Any) -> None:
    ContentPolicy.objects.create(level=level, **of)


def test_off_is_the_default_and_leaves_no_text_anywhere(sender: Sender) -> None:
    # An error's own words are under another choice.
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    assert sender.post("/api/v1/usage", everywhere(PROMPT, ANSWER, OWN)).json()["accepted"] == 1
    found = dump()
    for text in (PROMPT, ANSWER, OWN):
        for part in words(text):
            assert part.encode() not in found, part
            assert json.dumps(part)[1:-1].encode() not in found, part
    record = sender.record("req_1")
    assert record.content == Level.OFF
    assert not UsageContent.objects.exists()
    # What says why it failed is still there.
    assert record.error_message == NOT_KEPT
    assert record.parameters["temperature"] == 0.5
    assert record.metadata["trace"] == "trace-0001"
    assert record.error_param == "messages"


@pytest.mark.parametrize("level", [Level.REDACTED, Level.FULL])
def test_kept_content_is_nowhere_in_plain_text(sender: Sender, level: Level) -> None:
    policy(level, gateway=sender.gateway)
    sender.post("/api/v1/usage", everywhere(PROMPT, ANSWER, ""))
    found = dump()
    for text in (PROMPT, ANSWER):
        for part in words(text):
            assert part.encode() not in found, part
    record = sender.record("req_1")
    kept = contents.load(record.user_id, [record.pk])[record.pk]
    assert kept is not None and PROMPT in str(kept.input) and ANSWER in str(kept.output)
    assert record.content == kept.level == level


@pytest.mark.parametrize("level", list(Level))
def test_no_planted_secret_is_found_whatever_the_policy(sender: Sender, level: Level) -> None:
    policy(level, gateway=sender.gateway)
    told = "; ".join(f"remember {secret} for me" for secret in PLANTED)
    sender.post("/api/v1/usage", everywhere(told, told, told))
    found = dump()
    for secret in PLANTED:
        assert secret.encode() not in found, secret
    record = sender.record("req_1")
    kept = contents.load(record.user_id, [record.pk]).get(record.pk)
    if level is Level.REDACTED:
        assert kept is not None
        for secret in PLANTED:
            assert secret not in str(kept.input) + str(kept.output)
        assert "[redacted card]" in str(kept.input)
    elif level is Level.FULL:
        assert kept is not None and all(secret in str(kept.input) for secret in PLANTED)


@pytest.mark.parametrize(
    ("gateway", "group", "token", "expected"),
    [
        (None, None, None, Level.OFF),
        (Level.FULL, None, None, Level.FULL),
        (None, Level.FULL, None, Level.FULL),
        (Level.FULL, Level.REDACTED, None, Level.REDACTED),
        (Level.FULL, Level.REDACTED, Level.OFF, Level.OFF),
        (Level.REDACTED, Level.FULL, Level.FULL, Level.REDACTED),
        (Level.OFF, Level.FULL, Level.FULL, Level.OFF),
    ],
)
def test_the_strictest_policy_wins(
    sender: Sender, gateway: Level | None, group: Level | None, token: Level | None, expected: Level
) -> None:
    sender.post("/api/v1/usage", {**everywhere("a", "b", "c"), "request_id": "first"})
    other = Gateway.objects.create(name="other")
    policy(Level.FULL, gateway=other)
    policy(Level.OFF, group=Group.objects.create(name="not this one"))
    if gateway is not None:
        policy(gateway, gateway=sender.gateway)
    if group is not None:
        policy(group, group=Group.objects.get(name="vip"))
    if token is not None:
        policy(token, token=ApiToken.objects.get(name="prod"))
    sender.post("/api/v1/usage", everywhere(PROMPT, ANSWER, OWN))
    assert sender.record("req_1").content == expected
    assert UsageContent.objects.count() == (expected is not Level.OFF)


def test_content_that_is_too_large_is_cut_and_says_so(alice: User, gateway: Gateway) -> None:
    policy(Level.FULL, gateway=gateway)
    long = {"messages": [{"role": "user", "content": "word " * 50_000}]}
    with override_settings(CONTENT_MAX_BYTES=4096):
        store(gateway, event(created_at=RECENT, input=json.dumps(long).encode(), output=b'"short"'))
    record = UsageRecord.objects.get()
    kept = contents.load(record.user_id, [record.pk])[record.pk]
    assert kept is not None and kept.is_truncated
    assert "characters cut]" in kept.input["messages"][0]["content"]
    assert kept.output == "short"
    assert kept.input_bytes == len(json.dumps(long))
    assert len(json.dumps(kept.input)) <= 4096


def test_a_record_sent_twice_keeps_its_content_once(sender: Sender) -> None:
    policy(Level.FULL, gateway=sender.gateway)
    for _ in range(2):
        sender.post("/api/v1/usage", everywhere(PROMPT, ANSWER, OWN))
    assert UsageContent.objects.count() == 1


# --- Keys


@override_settings(ENCRYPTION_KEYS=["first"])
def test_rotating_keeps_old_content_readable_and_new_content_is_under_the_new_key(
    alice: User, gateway: Gateway
) -> None:
    policy(Level.FULL, gateway=gateway)
    store(gateway, event(created_at=RECENT, request_id="old", input=b'"old text"'))
    old = UsageRecord.objects.get(request_id="old")
    before = bytes(UsageContent.objects.get().body)
    with override_settings(ENCRYPTION_KEYS=["second", "first"]):
        store(gateway, event(created_at=RECENT + timedelta(seconds=1), request_id="new", input=b'"new text"'))
        new = UsageRecord.objects.get(request_id="new")
        loaded = contents.load(alice.pk, [old.pk, new.pk])
        assert {content.input for content in loaded.values() if content} == {"old text", "new text"}
        with override_settings(ENCRYPTION_KEYS=["second"]):
            # The new content is under the new key alone; the old one says that its key is gone.
            assert contents.load(alice.pk, [new.pk])[new.pk] is not None
            assert contents.load(alice.pk, [old.pk]) == {old.pk: None}
        assert contents.rotate() == (1, 0)
        assert bytes(UsageContent.objects.get(id=old.pk).body) != before
        assert contents.rotate() == (0, 0)
    with override_settings(ENCRYPTION_KEYS=["second"]):
        kept = contents.load(alice.pk, [old.pk])[old.pk]
        assert kept is not None and kept.input == "old text"


def test_a_lost_key_breaks_nothing_else(alice: User, gateway: Gateway, alice_client: Client) -> None:
    policy(Level.FULL, gateway=gateway)
    with override_settings(ENCRYPTION_KEYS=["lost"]):
        store(gateway, event(created_at=RECENT, input=b'"text"'))
    record = UsageRecord.objects.get()
    with override_settings(ENCRYPTION_KEYS=["other"]):
        assert contents.rotate() == (0, 1)
        assert alice_client.get(f"/records/usage/{record.pk}/details/").status_code == 200
        store(gateway, event(created_at=RECENT + timedelta(seconds=1), input=b'"more"'))
    assert UsageContent.objects.count() == 2


def test_errors_of_a_failed_call_keep_the_words_of_errors(alice: User, gateway: Gateway) -> None:
    message = "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000."
    store(
        gateway, event(status=Status.ERROR, http_status=429, error=Failure(message=message), model="gpt-4o")
    )
    assert UsageRecord.objects.get().error_message == message


def test_content_that_comes_in_two_parts_is_kept_together_and_moves_with_its_record(
    alice: User, gateway: Gateway
) -> None:
    policy(Level.FULL, gateway=gateway)
    store(gateway, event(request_id="req_s", created_at=RECENT, input=b'"the question"'))
    record = UsageRecord.objects.get()
    later = event(
        request_id="req_s",
        created_at=RECENT - timedelta(days=1, seconds=5),
        output=b'"the answer"',
        model="m",
    )
    with transaction.atomic():
        batches.complete(gateway, [(record, later)])
    moved = UsageRecord.objects.get()
    assert moved.pk != record.pk
    kept = contents.load(alice.pk, [moved.pk])[moved.pk]
    assert kept is not None and (kept.input, kept.output) == ("the question", "the answer")
    assert UsageContent.objects.count() == 1 and moved.content == Level.FULL
    check_rollups()
