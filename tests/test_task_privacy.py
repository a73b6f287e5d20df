"""What is kept of tasks: no secret in any field, content under the policy and its clock, no more months."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import AuditEntry, ErrorTexts, Gateway, User
from logs.models import Level, UsageContent
from tasks import migrations
from tasks.following import deadlines, lifecycle
from tasks.maintenance import retention
from tasks.maintenance.retention import RetentionReport
from tasks.models import AsyncTask, EarlyReport, EventKind, TaskEvent
from tasks.outcomes import privacy
from tasks.outcomes.causes import TaskCause, judge, verdict_on
from tasks.outcomes.observations import Observation
from tests import secret_kinds
from tests.cast import signed_in
from tests.sending import Sender, sender
from tests.test_content_privacy import dump, policy

__all__ = ["sender"]

pytestmark = pytest.mark.django_db

PROSE = "Dear Doctor Okonkwo, my aunt's purple velociraptor refuses its nutmeg pudding"
KEYS = [secret_kinds.drawn(template, "task")[0] for template in secret_kinds.BY_SHAPE.values()][:20]


def task(**more: Any) -> dict[str, Any]:
    return {
        "task_id": "task_1",
        "created_at": (timezone.now() - timedelta(hours=1)).isoformat(),
        "user": "alice@example.com",
        "token": "prod",
        "model": "gen-1",
        "platform": "somebody",
        "type": "other",
        **more,
    }


def everywhere(text: str) -> dict[str, Any]:
    """Return a task that carries a text wherever one may be."""
    return task(
        task_id=f"task {text}",
        provider_task_id=f"p {text}",
        request_id=f"r {text}",
        token=f"token {text}",
        group=f"group {text}",
        model=f"model {text}",
        platform=f"p {text}"[:90],
        status="failed",
        provider_status=f"word {text}"[:90],
        result={"note": text, "link": f"https://cdn.example/a.png?q={text}"},
        error={"code": f"c {text}"[:90], "message": f"no: {text}"},
        poll={"url": f"https://api.example/v1?key={text}", "parameters": {"a": text}},
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("early", [False, True])
def test_no_field_of_a_task_keeps_a_key(sender: Sender, key: str, early: bool) -> None:
    body = everywhere(key)
    if early:
        answer = sender.client.patch(
            "/api/v1/tasks/unknown",
            json.dumps({**body, "task_id": "unknown"}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {sender.key}"},
        )
        assert EarlyReport.objects.exists(), answer.content
    else:
        assert sender.post("/api/v1/tasks", body).json()["accepted"] == 1
        assert AsyncTask.objects.get().status == "failed"
    assert key.encode() not in dump()


def test_a_report_that_waits_for_its_task_is_encrypted(sender: Sender) -> None:
    body = json.dumps({"status": "succeeded", "result": PROSE})
    headers = {"Authorization": f"Bearer {sender.key}"}
    sender.client.patch("/api/v1/tasks/task_1", body, content_type="application/json", headers=headers)
    assert PROSE in EarlyReport.objects.get().body.reveal()
    assert b"velociraptor" not in dump()
    sender.post("/api/v1/tasks", task())
    assert AsyncTask.objects.get().status == "succeeded" and not EarlyReport.objects.exists()
    assert b"velociraptor" not in dump()


def test_a_result_in_words_is_not_kept_where_the_policy_is_off(sender: Sender, alice: User) -> None:
    sender.post("/api/v1/tasks", task(status="succeeded", result=PROSE))
    assert b"velociraptor" not in dump()
    page = signed_in(alice).get(f"/records/tasks/{AsyncTask.objects.get().pk}/").content.decode()
    assert "the content policy for this task is off" in page


def test_of_data_names_and_numbers_stay_where_the_policy_is_off(sender: Sender) -> None:
    sender.post(
        "/api/v1/tasks", task(status="succeeded", result={"seed": 7, "size": "1024x1024", "said": PROSE})
    )
    assert b"velociraptor" not in dump()
    [piece] = AsyncTask.objects.get().result or []
    assert piece["data"] == {"seed": 7, "size": "1024x1024", "said": "[…]"}


@pytest.mark.parametrize("level", [Level.REDACTED, Level.FULL])
def test_a_result_in_words_is_kept_encrypted_and_for_its_days(
    sender: Sender, alice: User, level: Level
) -> None:
    policy(level, gateway=sender.gateway)
    key = KEYS[0]
    sender.post("/api/v1/tasks", task(status="running", result=f"first {PROSE}"))
    sender.post("/api/v1/tasks", task(status="succeeded", result=f"{PROSE} {key}"))
    assert b"velociraptor" not in dump() and key.encode() not in dump()
    found = AsyncTask.objects.get()
    assert UsageContent.objects.count() == 1
    [piece] = privacy.results_of([found])[found.pk]
    assert PROSE in piece["text"] and (key in piece["text"]) is (level is Level.FULL)
    client = signed_in(alice)
    address = f"/records/tasks/{found.pk}/"
    assert "purple velociraptor" in client.get(address).content.decode()
    UsageContent.objects.all().delete()
    assert "no longer stored" in client.get(address).content.decode()


def test_a_failure_keeps_its_words_or_what_the_operator_chose(sender: Sender) -> None:
    message = (
        "您的账户已欠费，请充值后重试。You don't have access to 'this very long model of the provider here'"
    )
    for number, (chosen, stored) in enumerate(
        (
            (ErrorTexts.KEEP, message),
            (ErrorTexts.CUT_QUOTES, "您的账户已欠费，请充值后重试。You don't have access to '[… 8 words]'"),
            (ErrorTexts.CODES, "[not kept]"),
        )
    ):
        Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=chosen)
        error = {"code": "no", "message": message}
        sender.post("/api/v1/tasks", task(task_id=f"t{number}", status="failed", error=error))
        found = AsyncTask.objects.get(task_id=f"t{number}")
        assert (found.failure_code, found.failure_message) == ("no", stored)


def test_what_the_console_says_itself_stays_whatever_is_kept_of_errors(sender: Sender) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    sender.post("/api/v1/tasks", task(status="running"))
    found = AsyncTask.objects.get()
    blank = Observation(key="", kind=EventKind.POLL)
    said = (
        replace(blank, key="a", note="api.example did not answer in time."),
        replace(blank, key="b", note="The key was entered for 'another host': enter it again, if it may."),
        replace(blank, key="c", note="no JSON (it is cut)", excerpt=f"<html>{PROSE}"),
        replace(blank, key="d", excerpt=f"{PROSE} {KEYS[0]}"),
        replace(blank, key="e", note=f"There is no 'id' to put into https://api.example/?key={KEYS[0]}."),
    )
    for one in said:
        lifecycle.transition(found.pk, one)
    notes = dict(TaskEvent.objects.filter(key__in="abcde").values_list("key", "note"))
    assert notes == {
        "a": said[0].note,
        "b": said[1].note,
        "c": "no JSON (it is cut): [not kept]",
        "d": "[not kept]",
        "e": "There is no 'id' to put into https://api.example/?key=[redacted secret].",
    }
    deadlines.expire(found, None)
    found.refresh_from_db()
    assert found.failure_message.startswith("No final answer from somebody within ")
    assert b"velociraptor" not in dump()


def test_a_short_result_cannot_be_guessed_from_what_stays_of_it(sender: Sender) -> None:
    policy(Level.FULL, gateway=sender.gateway)
    for name in ("task_1", "task_2"):
        sender.post("/api/v1/tasks", task(task_id=name, status="succeeded", result="yes"))
    digests = [(one.result or [])[0]["digest"] for one in AsyncTask.objects.all()]
    assert len(set(digests)) == 2, "nor do two tell that they are of the same"
    for size in range(1, 65):
        for said in (b"yes", b'"yes"'):
            assert hashlib.blake2b(said, digest_size=size).hexdigest()[:16] not in {d[:16] for d in digests}
    with override_settings(SECRET_KEY="another"):
        sender.post("/api/v1/tasks", task(task_id="task_3", status="succeeded", result="yes"))


@pytest.mark.parametrize("status", ["running", "succeeded"])
@pytest.mark.parametrize("before", ["same key", "another key", "no key"])
def test_a_result_that_comes_again_is_kept_once_whatever_its_digest_was_made_with(
    sender: Sender, status: str, before: str
) -> None:
    policy(Level.FULL, gateway=sender.gateway)
    body = task(status=status, result=PROSE)
    with override_settings(SECRET_KEY="before" if before == "another key" else settings.SECRET_KEY):
        sender.post("/api/v1/tasks", body)
    found = AsyncTask.objects.get()
    if before == "no key":
        found.result = [{**piece, "digest": "0" * 16} for piece in found.result or []]
        found.save()
    sender.post("/api/v1/tasks", {**body, "progress": 100})
    sender.post("/api/v1/tasks", {**body, "progress": 100, "provider_task_id": "later"})
    found.refresh_from_db()
    assert found.status == status and UsageContent.objects.count() == 1
    [piece] = privacy.results_of([found])[found.pk]
    assert piece["text"] == PROSE


def test_digests_that_were_made_without_a_key_are_forgotten(sender: Sender) -> None:
    sender.post("/api/v1/tasks", [task(task_id=name, status="succeeded") for name in ("old", "new", "none")])
    piece = {"kind": "text", "stored": 0, "digest": "0123456789abcdef"}
    new = [{**piece, "digest": "0" * 32}, {"kind": "image", "url": "https://a/b"}]
    AsyncTask.objects.filter(task_id="old").update(result=[piece, *new])
    AsyncTask.objects.filter(task_id="new").update(result=new)
    statement = Path(migrations.__file__ or "").parent / "0007_unkeyed_digests.sql"
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(statement.read_text())
    results = dict(AsyncTask.objects.values_list("task_id", "result"))
    assert results == {"old": [{"kind": "text", "stored": 0}, *new], "new": new, "none": None}


def test_the_cause_is_judged_before_anything_is_cut(sender: Sender, alice: User) -> None:
    Gateway.objects.filter(pk=sender.gateway.pk).update(error_texts=ErrorTexts.CODES)
    error = {"code": "E7", "message": "Your account balance is insufficient. Please top up."}
    sender.post("/api/v1/tasks", task(status="failed", error=error))
    found = AsyncTask.objects.get()
    verdict = verdict_on(found)
    kept = judge("failed", "E7", error["message"], "")
    assert verdict is not None and verdict.cause is kept[0] is not TaskCause.UNKNOWN
    page = signed_in(alice).get(f"/records/tasks/{found.pk}/").content.decode()
    assert "Only the type and code" in page


def test_an_address_that_is_signed_still_opens() -> None:
    for signed in (
        "https://b.s3.amazonaws.com/k.png?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F2026&X-Amz-Signature="
        + "a1" * 32,
        "https://x.blob.core.windows.net/c/b.png?se=2026-11-26&sp=r&sig=Ab3dEf6hIj9kLmN0pQrStUvWx%3D",
        "https://storage.googleapis.com/b/o?X-Goog-Signature=" + "0f" * 64,
        "https://cdn.example/0b7f7c3e-4b0f-4d6e-9a51-1f2d3c4b5a69/out-0.mp4",
    ):
        assert privacy.address(signed) == signed
    assert privacy.address(
        "https://u:hunter22@a.example/x?key=AIzaSyA1234567890abcdefghijklmnopqrstuv&n=1"
    ) == ("https://a.example/x?n=1")


_KEY = secret_kinds.drawn(secret_kinds.BY_SHAPE["openai project"], "address")[0]
_TOKEN = secret_kinds.drawn(secret_kinds.BY_SHAPE["json web token"], "address")[0]


@pytest.mark.parametrize(
    "url",
    [
        f"https://x.example/a.png#access_token={_TOKEN}",
        f"https://x.example/a.png#{_KEY}",
        f"https://x.example/a.png?x=1#/done?token={_TOKEN}",
        f"https://x.example/a.png?x={_KEY.replace('-', '%2D')}",
        f"https://x.example/a.png?x={_KEY.replace('-', '%2d')}&n=1",
        f"https://x.example/a.png?x={_KEY.replace('-', '%252D')}",
        f"https://x.example/a.png?sig={_KEY.replace('-', '%2D')}",
        f"https://x.example/a.png?{_KEY.replace('-', '%2D')}",
        f"https://x.example/{_KEY.replace('-', '%2D')}/a.png",
        f"https://x.example/a.png?next={quote(f'https://y.example/?x={quote(_KEY)}', safe='')}",
        "https://x.example/a.png?api%5Fkey=correcthorsebattery",
        f"https://[x.example/{_KEY.replace('-', '%2D')}#{_KEY}",
    ],
)
def test_no_part_of_an_address_hides_a_secret(sender: Sender, url: str) -> None:
    kept = privacy.address(url)
    for _ in range(3):
        assert "sk-proj" not in kept and "eyJ" not in kept and "correcthorse" not in kept
        kept = unquote(kept)
    if "[" not in url:
        sender.post("/api/v1/tasks", task(status="succeeded", result={"url": url}, poll={"url": url}))
        assert AsyncTask.objects.get().result
        endpoint = url.partition("#")[0].removeprefix("https://x.example")
        record = task(request_id="r", endpoint=endpoint) | {"task_id": None, "type": "request"}
        sender.post("/api/v1/usage", record)
        assert sender.record("r").endpoint
    found = unquote(unquote(dump().decode()))
    assert "sk-proj" not in found and "eyJhbGci" not in found


def test_what_is_encoded_in_an_address_and_no_secret_stays() -> None:
    for url in (
        "https://x.example/a%20b/%E7%8C%AB.png?response-content-disposition=attachment%3B%20filename%3D%22a.png%22",
        "https://x.example/a.png?name=%E7%8C%AB&size=1024%2C1024",
    ):
        assert privacy.address(url) == url
        assert privacy.address(f"{url}#t=10") == url


def test_tasks_go_with_the_records_months_and_their_texts_with_the_days(sender: Sender) -> None:
    for name, age in (("new", 1), ("texts", settings.CONTENT_RETENTION_DAYS + 2)):
        created = (timezone.now() - timedelta(days=age)).isoformat()
        sender.post("/api/v1/tasks", task(task_id=name, created_at=created, status="succeeded"))
    # As it was kept before results were content.
    AsyncTask.objects.update(
        result=[{"kind": "text", "text": PROSE}, {"kind": "image", "url": "https://a/b"}]
    )
    assert retention.run(dry=True) == RetentionReport(True, 0, 1)
    assert AsyncTask.objects.filter(result__0__text=PROSE).count() == 2
    assert retention.run() == RetentionReport(False, 0, 1)
    assert AuditEntry.objects.filter(object__contains="1 deleted", act=AuditEntry.Act.RETENTION).exists()
    assert AsyncTask.objects.get(task_id="texts").result[1]["url"] == "https://a/b"
    assert AsyncTask.objects.get(task_id="new").result[0]["text"] == PROSE
    later = timezone.now() + timedelta(days=31 * (settings.RECORD_RETENTION_MONTHS + 1))
    assert retention.run(dry=True, now=later).tasks == 2
    assert retention.run(now=later).tasks == 2
    assert not AsyncTask.objects.exists() and not TaskEvent.objects.exists()


def test_a_strangers_task_shows_no_content(sender: Sender, bob: User, client: Client) -> None:
    policy(Level.FULL, gateway=sender.gateway)
    sender.post("/api/v1/tasks", task(status="succeeded", result=PROSE))
    assert signed_in(bob).get(f"/records/tasks/{AsyncTask.objects.get().pk}/").status_code == 404
