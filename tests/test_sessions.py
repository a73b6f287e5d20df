"""Calls by session: what tells of one, that the sums of sessions are the header's, and their timeline."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Gateway, Membership, Team, User
from logs.ingest.sessions import tell
from logs.models import Status, UsageRecord
from logs.rollups import own_sums
from logs.rollups.own_sums import Totals
from logs.selection import lookback
from logs.usage import sessions
from tests import captures, spans
from tests.cast import event as event_of
from tests.cast import just_now, signed_in, store
from tests.sending import Sender, sender

__all__ = ["sender"]
UUID = "0b5c1d2e-3f4a-4b5c-8d6e-7f8091a2b3c4"


@pytest.mark.parametrize(
    ("metadata", "parameters", "expected"),
    [
        (None, None, None),
        ({"session_id": "s1"}, None, "s1"),
        ({"session_id": "", "requester_metadata": {"session_id": "s2"}}, None, "s2"),
        ({"requester_metadata": {"user_id": f"user_ab_account__session_{UUID}"}}, None, UUID),
        ({"end_user": f"user_ab_account_cd_session_{UUID}"}, None, UUID),
        ({"requester_metadata": {"user_id": json.dumps({"device_id": "d", "session_id": UUID})}}, None, UUID),
        ({"user_id": '{"session": 1'}, None, None),
        ({"requester_metadata": {"x-session-id": "s3"}}, None, "s3"),
        ({"session": "mine"}, {"prompt_cache_key": "k"}, "k"),
        ({"session": "mine"}, None, "mine"),
        (None, {"prompt_cache_key": "k"}, "k"),
        ({"trace_id": "t", "span_id": "s"}, None, "t"),
        ({"trace_id": "t"}, None, None),
        ({"session_id": 7}, {"prompt_cache_key": ["x"]}, None),
        ({"session_id": "x" * 300}, None, "x" * 200),
    ],
)
def test_what_tells_of_a_session(metadata: Any, parameters: Any, expected: str | None) -> None:
    one = event_of(metadata=metadata, parameters=parameters)
    tell([one])
    assert (one.metadata or {}).get("session") == expected
    again = dict(one.metadata or {})
    tell([one])
    assert (one.metadata or {}) == again, "telling it again changes nothing"


@pytest.mark.django_db
def test_formats_tell_of_sessions(sender: Sender, alice: User) -> None:
    at = timezone.now().isoformat()
    native = {"request_id": "n", "created_at": at, "user": alice.email, "session_id": "s1"}
    assert sender.post("/api/v1/usage", [native]).json()["accepted"] == 1
    told = {**spans.CHAT, "gen_ai.conversation.id": "s2", "user.id": alice.email}
    sender.post(spans.PATH, spans.request(spans.span(told)))
    for request_id, session in (("n", "s1"), ("chatcmpl-1", "s2")):
        assert sender.record(request_id).metadata["session"] == session
        page = signed_in(alice).get(f"/records/usage/?range=all&session={session}")
        assert [row.request_id for row in page.context["rows"]] == [request_id]


@captures.needed
@pytest.mark.django_db
def test_a_call_of_litellm_alone_is_no_session(sender: Sender) -> None:
    sender.post("/api/v1/ingest/litellm", captures.load("litellm/json_array").body)
    assert not [row for row in UsageRecord.objects.all() if "session" in (row.metadata or {})]


def _event(random: Random, owner: str, number: int) -> Any:
    session = random.choice(["", "a", "b", "c", f"single-{number}"])
    tokens = random.randrange(5_000)
    return event_of(
        owner,
        created_at=just_now() - timedelta(seconds=9 * number),
        model=random.choice(["gpt-5", "claude-sonnet-4-5", "unknown"]),
        metadata={"session_id": session, "tags": ["x"] if number % 3 else []} if session else None,
        status=random.choices(list(Status), [8, 2])[0],
        http_status=500,
        cost=random.choice([None, Decimal(random.randrange(10**9)).scaleb(-12)]),
        input_tokens=tokens,
        cached_tokens=random.randrange(tokens + 1),
        attempts=[{"channel": "1"}] * random.randrange(3) or None,
    )


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "tag=x", "model=gpt-5", "status=error", "session=a"])
def test_sessions_and_calls_without_one_are_the_header(
    gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(lookback, "MOST_RECORDS", 70)
    monkeypatch.setattr(sessions, "MOST_ROWS", 5)
    random = Random(3)
    store(gateway, *(_event(random, "alice@example.com", number) for number in range(90)), ties=True)
    store(gateway, *(_event(random, "bob@example.com", number) for number in range(20)), ties=True)
    client = signed_in(alice)
    page = client.get(f"/records/usage/?sessions=on&{query}")
    shown = page.context["sessions"]
    parts = [line.totals for line in (*shown.lines, shown.others, shown.without) if line]
    assert sum(parts, own_sums.NOTHING) == page.context["totals"]
    assert [line.last for line in shown.lines] == sorted((line.last for line in shown.lines), reverse=True)
    for line in shown.lines:
        rows = [
            row
            for row in UsageRecord.objects.filter(user=alice).order_by("-id")
            if (row.metadata or {}).get("session") == line.session
        ]
        if not query:
            newest = UsageRecord.objects.filter(user=alice).order_by("-id")[69].id
            rows = [row for row in rows if row.id >= newest]
            assert line.totals == Totals.of(rows)
            assert line.retries == sum(len(row.attempts or ()) for row in rows)
            assert (line.first, line.last) == (rows[-1].created_at, rows[0].created_at)
    kept = Counter(line.session for line in shown.lines)
    assert all(count == 1 for count in kept.values())


@pytest.mark.django_db
def test_the_view_is_there_only_where_there_are_sessions(gateway: Gateway, alice: User) -> None:
    client = signed_in(alice)
    store(gateway, event_of(alice, created_at=just_now()))
    assert "view-sessions" not in client.get("/records/usage/").content.decode()
    store(gateway, event_of(alice, created_at=just_now(), metadata={"session_id": "s1"}))
    assert "view-sessions" in client.get("/records/usage/").content.decode()
    page = client.get("/records/usage/results/?sessions=on&sort=cost&errors=", headers={"HX-Request": "true"})
    assert page["HX-Push-Url"] == "/records/usage/?sessions=on"
    assert "menu-marks" not in page.content.decode(), "a session is no tag"


@pytest.mark.django_db
def test_what_a_cache_saved_is_by_the_catalogue(gateway: Gateway, alice: User) -> None:
    common = {"created_at": just_now(), "metadata": {"session_id": "s1"}}
    store(gateway, event_of(alice, model="gpt-5", input_tokens=2_000_000, cached_tokens=1_000_000, **common))
    store(
        gateway, event_of(alice, model="nobody-knows", created_at=just_now(), metadata={"session_id": "s2"})
    )
    page = signed_in(alice).get("/records/usage/?sessions=on")
    lines = {line.session: line for line in page.context["sessions"].lines}
    # gpt-5: $1.25 a million tokens, $0.125 from a cache.
    assert lines["s1"].saved == Decimal("1.125")
    assert lines["s2"].saved == 0, "nothing was cached"


@pytest.mark.django_db
def test_a_session_opens_as_the_timeline_of_its_calls(gateway: Gateway, alice: User, bob: User) -> None:
    rows = [
        event_of(
            alice, created_at=just_now() - timedelta(minutes=n), metadata={"session_id": "s 1"}, duration_ms=5
        )
        for n in (3, 2, 1)
    ]
    store(gateway, *rows, event_of(bob, created_at=just_now(), metadata={"session_id": "s 1"}))
    client = signed_in(alice)
    [line] = client.get("/records/usage/?sessions=on").context["sessions"].lines
    assert line.url == "/records/usage/session/?session=s+1"
    page = client.get(line.url)
    assert [call.record.request_id for call in page.context["calls"]] == [row.request_id for row in rows]
    row = client.get("/records/usage/session/details/?session=s+1").content.decode()
    assert row.strip().startswith('<tr class="record-detail"') and row.count("<svg") == 3
    for stranger in ("nothing", "", "S 1"):
        assert client.get("/records/usage/session/", {"session": stranger}).status_code == 404


@pytest.mark.django_db
def test_a_lead_sees_no_sessions(gateway: Gateway, alice: User, bob: User) -> None:
    team = Team.objects.create(name="search")
    team.leads.add(bob)
    Membership.objects.create(team=team, user=alice, since=timezone.now() - timedelta(days=9))
    store(gateway, event_of(alice, created_at=just_now(), metadata={"session_id": "s1"}))
    client = signed_in(bob)
    page = client.get(f"/records/usage/?of=team:{team.pk}&sessions=on")
    assert page.context["sessions"] is None and len(page.context["rows"]) == 1
    assert "view-sessions" not in page.content.decode()
    asked = {"of": f"team:{team.pk}", "session": "s1"}
    assert client.get("/records/usage/session/", asked).status_code == 404
    assert client.get("/records/usage/session/", {"session": "s1"}).status_code == 404
