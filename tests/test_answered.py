"""Did I get the model I asked for? What every format tells of it, and what is no other model."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.models import Gateway, Membership, Team, User
from logs.ingest import batches
from logs.models import Status, UsageMark, UsageRecord
from logs.models.marks import OTHER_MODEL, digest_of
from logs.pricing.same_model import is_another
from tests import captures, spans
from tests.cast import event as event_of
from tests.cast import just_now, signed_in, store
from tests.sending import Sender, sender

__all__ = ["sender"]
SAME = [
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("openai/gpt-4o", "gpt-4o-2024-08-06"),
    ("azure/gpt-35-turbo", "gpt-3.5-turbo-0125"),
    ("gpt-4", "gpt-4-0613"),
    ("gpt-4-turbo-preview", "gpt-4-0125-preview"),
    ("o1", "o1-2024-12-17"),
    ("gpt-5-high", "gpt-5-2025-08-07"),
    ("text-embedding-ada-002", "text-embedding-ada-002-v2"),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
    ("claude-sonnet-4-5-thinking", "claude-sonnet-4-5-20250929"),
    ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4-20250514"),
    ("anthropic/claude-haiku-4.5", "claude-haiku-4-5-20251001"),
    ("vertex_ai/claude-3-5-sonnet@20240620", "claude-3-5-sonnet-20240620"),
    ("gemini-2.5-pro", "gemini-2.5-pro-preview-05-06"),
    ("gemini-2.0-flash", "models/gemini-2.0-flash-001"),
    ("gemini-flash-latest", "gemini-2.5-flash-preview-09-2025"),
    ("mistral-large-latest", "mistral-large-2411"),
    ("grok-4", "grok-4-0709"),
    ("kimi-k2", "kimi-k2-0711-preview"),
    ("deepseek-reasoner", "deepseek-r1"),
    ("openrouter/auto", "gpt-5"),
    ("fast-chat", "gpt-5-mini"),
    ("gpt-5", "prod-gpt5-eastus"),
    ("ft:gpt-4o-mini-2024-07-18:acme::1", "gpt-4o-mini"),
    ("", "gpt-5"),
]
OTHERS = [
    ("gpt-5", "gpt-5-mini-2025-08-07"),
    ("openai/gpt-5", "gpt-4o-2024-08-06"),
    ("gpt-4.1", "gpt-4.1-nano"),
    ("o3", "o3-mini"),
    ("claude-opus-4-1", "claude-sonnet-4-5-20250929"),
    ("claude-sonnet-4", "claude-sonnet-4-5-20250929"),
    ("us.anthropic.claude-opus-4-20250514-v1:0", "us.anthropic.claude-3-haiku-20240307-v1:0"),
    ("gemini-2.5-pro", "gemini-2.5-flash"),
    ("gpt-4o", "deepseek-chat"),
    ("grok-4", "grok-3"),
]


@pytest.mark.parametrize(("asked", "answered"), SAME)
def test_snapshots_aliases_prefixes_and_deployments_are_the_same_model(asked: str, answered: str) -> None:
    assert not is_another(asked, answered)


@pytest.mark.parametrize(("asked", "answered"), OTHERS)
def test_another_model_is_another(asked: str, answered: str) -> None:
    assert is_another(asked, answered)


@captures.needed
@pytest.mark.django_db
def test_no_recorded_request_is_flagged(sender: Sender) -> None:
    for name in captures.names("litellm"):
        assert sender.post("/api/v1/ingest/litellm", captures.load(name).body).status_code == 200
    for name in captures.names("otlp"):
        capture = captures.load(name)
        kept = {key: value for key, value in capture.headers.items() if key == "content-encoding"}
        answer = sender.post("/v1/traces", capture.body, content_type=capture.headers["content-type"], **kept)
        assert answer.status_code == 200
    rows = list(UsageRecord.objects.all())
    assert len(rows) > 8
    assert not [row.metadata for row in rows if "answered_by_model" in (row.metadata or {})]
    told = [row.metadata for row in rows if {"answered_model", "requested_model"} & set(row.metadata or ())]
    assert told, "and both names are kept"


# --- What each format tells --------------------------------------------------------------------------------


def _told(record: Any) -> tuple[Any, Any]:
    return record.metadata.get("asked_for_model"), record.metadata.get("answered_by_model")


@pytest.mark.django_db
def test_native_records_tell_it(sender: Sender, alice: User) -> None:
    common = {"created_at": timezone.now().isoformat(), "user": alice.email, "model": "gpt-5"}
    rows = [
        {"request_id": "other", "answered_model": "gpt-5-mini", **common},
        {"request_id": "same", "answered_model": "gpt-5-2025-08-07", **common},
        {"request_id": "failed", "answered_model": "gpt-5-mini", "status": "error", **common},
        {"request_id": "claimed", "metadata": {"answered_by_model": "x"}, **common},
    ]
    assert sender.post("/api/v1/usage", rows).json()["accepted"] == 4
    assert _told(sender.record("other")) == ("gpt-5", "gpt-5-mini")
    assert sender.record("same").metadata == {"answered_model": "gpt-5-2025-08-07"}
    assert _told(sender.record("failed")) == (None, None), "nothing answered"
    assert sender.record("claimed").metadata is None


@pytest.mark.django_db
def test_spans_tell_it(sender: Sender, alice: User) -> None:
    told = {**spans.CHAT, "gen_ai.request.model": "gpt-5", "gen_ai.response.model": "gpt-5-mini-2025-08-07"}
    sender.post(spans.PATH, spans.request(spans.span({**told, "user.id": alice.email})))
    assert _told(sender.record("chatcmpl-1")) == ("gpt-5", "gpt-5-mini-2025-08-07")


@captures.needed
@pytest.mark.django_db
def test_litellm_tells_it(sender: Sender) -> None:
    source = json.loads(captures.load("litellm/single-success").body)
    source["model_group"] = "gpt-5"
    for number, (model, answered) in enumerate(
        [("openai/gpt-5-mini", None), ("azure/my-deployment", "gpt-5-mini"), ("azure/my-deployment", None)]
    ):
        response = {**source["response"], "model": answered}
        body = {**source, "id": f"c{number}", "model": model, "response": response}
        assert sender.post("/api/v1/ingest/litellm", [body]).json()["accepted"] == 1
    assert _told(sender.record("c0")) == ("gpt-5", "openai/gpt-5-mini")
    assert _told(sender.record("c1")) == ("gpt-5", "gpt-5-mini")
    assert _told(sender.record("c2")) == (None, None), "a deployment's name says nothing"


# --- What is shown -----------------------------------------------------------------------------------------


def event(
    ago: float, answered: str = "", user: str = "alice@example.com", model: str = "gpt-5", **more: Any
) -> Any:
    metadata = {"answered_model": answered} if answered else None
    at = just_now() - timedelta(minutes=ago)
    return event_of(user, created_at=at, model=model, metadata=metadata, cost=Decimal("0.01"), **more)


@pytest.mark.django_db
def test_the_record_its_filter_and_compare_say_so(gateway: Gateway, alice: User) -> None:
    store(gateway, *(event(n + 1) for n in range(7)), event(9, "gpt-5-mini"), event(10, "gpt-5-2025-08-07"))
    store(gateway, event(11, model="claude-sonnet-4-5"))
    client = signed_in(alice)
    page = client.get("/records/usage/?answered=other")
    [row] = page.context["rows"]
    assert "Model asked for: Another model answered" in page.content.decode()
    assert page.context["totals"].requests == 1
    details = client.get(row.url.replace("?", "details/?") if "?" in row.url else f"{row.url}details/")
    assert "Asked gpt-5, answered by gpt-5-mini" in details.content.decode()
    assert "Asked gpt-5, answered by gpt-5-mini" in client.get(row.url).content.decode()
    compared = client.get("/records/usage/?compare=model")
    lines = {line.label: line for line in compared.context["comparison"].rows}
    assert lines["gpt-5"].other_share == Decimal(1) / 9
    assert lines["claude-sonnet-4-5"].other_share is None
    assert "11.1% not the model asked for" in compared.content.decode()
    listed = client.get(f"/records/usage/{lines['gpt-5'].other_query}").context["rows"]
    assert [one.request_id for one in listed] == [row.request_id]


@pytest.mark.django_db
def test_nothing_is_offered_where_every_model_was_the_one(gateway: Gateway, alice: User) -> None:
    store(gateway, event(2, "gpt-5-2025-08-07"))
    page = signed_in(alice).get("/records/usage/").content.decode()
    assert "Model asked for" not in page and "menu-marks" not in page


@pytest.mark.django_db
def test_what_a_later_report_says_holds(gateway: Gateway, alice: User) -> None:
    one = event(5, "gpt-5-mini")
    store(gateway, one)
    record = UsageRecord.objects.select_related("model").get(request_id=one.request_id)
    later = event(5, "gpt-5-2025-08-07", request_id=one.request_id)
    later.created_at = one.created_at
    assert batches.complete(gateway, [(record, later)]) == {}
    assert not UsageMark.objects.filter(digest=digest_of(OTHER_MODEL)).exists()
    record.refresh_from_db()
    failed = event(5, "gpt-5-mini", request_id=one.request_id, status=Status.ERROR, http_status=500)
    failed.created_at = one.created_at
    assert batches.complete(gateway, [(record, failed)]) == {}
    assert not UsageMark.objects.exists()


@pytest.mark.django_db
def test_a_lead_is_told_and_sees_no_other_metadata(gateway: Gateway, alice: User, bob: User) -> None:
    team = Team.objects.create(name="search")
    team.leads.add(bob)
    Membership.objects.create(team=team, user=alice, since=timezone.now() - timedelta(days=9))
    one = event(5, "gpt-5-mini")
    one.metadata["quoted"] = "what was sent"
    store(gateway, one, event(6))
    client = signed_in(bob)
    [row] = client.get(f"/records/usage/?of=team:{team.pk}&answered=other").context["rows"]
    page = client.get(row.url).content.decode()
    assert "Asked gpt-5, answered by gpt-5-mini" in page and "what was sent" not in page
    token = personal_tokens.issue(bob, "t", 30)[1]
    reader = Client(headers={"Authorization": f"Bearer {token}"})
    [told] = reader.get(f"/api/v1/usage?of=team:{team.pk}&answered=other").json()["data"]
    assert told["metadata"] == {"asked_for_model": "gpt-5", "answered_by_model": "gpt-5-mini"}
