"""Records are found, compared and exported by their tags and by what metadata the gateway sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.identities import merging
from accounts.models import Gateway, Membership, Team, User
from logs.ingest import batches
from logs.models import OfferedValue, UsageMark, UsageRecord, offered
from logs.models.events import Batch, UsageEvent
from logs.models.marks import digest_of, facets_of
from routescope.data.partitions import Month
from tests import captures, spans
from tests.cast import event as event_of
from tests.cast import just_now, signed_in, store
from tests.sending import Sender, sender

__all__ = ["sender"]
pytestmark = pytest.mark.django_db


def event(user: User | str = "alice@example.com", **metadata: Any) -> UsageEvent:
    """A call of the last minutes with metadata; ``ago`` minutes before the present."""
    ago = metadata.pop("ago", 5)
    return event_of(user, created_at=just_now() - timedelta(minutes=ago), metadata=metadata or None)


def listed(client: Client, query: str) -> list[str]:
    """Return the request IDs that the page lists."""
    page = client.get(f"/records/usage/?{query}")
    assert page.status_code == 200
    return [row.request_id for row in page.context["rows"]]


# --- What comes in -----------------------------------------------------------------------------------------


def test_native_tags_and_metadata_are_kept_and_found(sender: Sender, alice: User) -> None:
    at = timezone.now().isoformat()
    common = {"created_at": at, "user": alice.email, "model": "m"}
    answer = sender.post(
        "/api/v1/usage",
        [
            {"request_id": "a", "tags": ["search", "nightly"], **common},
            {"request_id": "b", "metadata": {"project": "atlas", "attempt": 2, "dry": True}, **common},
            {"request_id": "c", **common},
        ],
    )
    assert answer.status_code == 200
    assert sender.record("a").metadata == {"tags": ["search", "nightly"]}
    client = signed_in(alice)
    assert listed(client, "tag=search") == ["a"]
    assert listed(client, "meta=project%3Datlas") == ["b"]
    assert listed(client, "meta=attempt%3D2") == ["b"]
    assert listed(client, "meta=dry%3Dtrue") == ["b"]
    assert sorted(listed(client, "has_not=tags")) == ["b", "c"]


def test_a_record_without_tags_costs_no_query_more(
    sender: Sender, alice: User, django_assert_max_num_queries: Any
) -> None:
    def send(number: int, **fields: Any) -> list[str]:
        record = {"request_id": f"r{number}", "created_at": timezone.now().isoformat(), "user": alice.email}
        with django_assert_max_num_queries(60) as counted:
            assert sender.post("/api/v1/usage", [record | fields]).status_code == 200
        return [query["sql"] for query in counted.captured_queries]

    send(1)
    plain = send(2, metadata={"trace": {"deep": 1}})
    assert not any("usage_mark" in sql or "usage_offered" in sql for sql in plain)
    assert len(send(3, metadata=None)) == len(plain)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, []),
        ({"tags": ["b", "a", "b", 3, None, {"x": 1}, " "]}, [("tags", "b"), ("tags", "a"), ("tags", "3")]),
        ({"tags": "one"}, [("tags", "one")]),
        ({"tags": ["User-Agent: curl", "x"]}, [("tags", "x")]),
        (
            {"n": 1, "f": 0.5, "whole": 2.0, "no": False},
            [("f", "0.5"), ("n", "1"), ("no", "false"), ("whole", "2")],
        ),
        ({"requester_metadata": {"job": "x"}, "job": "outer"}, [("job", "outer")]),
        ({"spend_logs_metadata": {"team": "x"}}, [("team", "x")]),
        ({"trace_id": "t", "session_id": "s", "call_type": "c"}, []),
        ({"a=b": "x", "": "x", "k" * 61: "x", "blank": ""}, []),
        ({"long": "x" * 201}, [("long", "")]),
        ({"deep": {"a": 1}, "list": [1]}, []),
    ],
)
def test_what_a_record_can_be_found_by(metadata: Any, expected: list[tuple[str, str]]) -> None:
    assert [tuple(facet) for facet in facets_of(metadata)] == expected


def test_keys_of_one_record_are_bounded_in_an_order_that_the_database_does_not_change() -> None:
    keys = {f"key{number:02}": "x" for number in range(30)}
    forwards, backwards = facets_of(keys), facets_of(dict(reversed(keys.items())))
    assert forwards == backwards and len(forwards) == 20


# --- Filters -----------------------------------------------------------------------------------------------


def test_is_is_not_exists_and_does_not_exist(gateway: Gateway, alice: User) -> None:
    rows = {
        "both": event(tags=["a", "b"], project="x", ago=9),
        "a": event(tags=["a"], project="y", ago=8),
        "none": event(ago=7),
        "x": event(project="x", ago=6),
    }
    store(gateway, *rows.values())
    names = {one.request_id: name for name, one in rows.items()}
    client = signed_in(alice)

    def found(query: str) -> set[str]:
        return {names[one] for one in listed(client, query)}

    assert found("tag=a") == {"both", "a"}
    assert found("tag=a&tag=b") == {"both"}, "of several tags a record has each"
    assert found("tag_not=b") == {"a", "none", "x"}
    assert found("meta=project%3Dx&meta=project%3Dy") == {"both", "a", "x"}, "of a key any of several values"
    assert found("meta=project%3Dx&tag=a") == {"both"}
    assert found("meta_not=project%3Dx") == {"a", "none"}
    assert found("has=project&has=tags") == {"both", "a"}
    assert found("has_not=project&has_not=tags") == {"none"}
    assert found("tag=a&has_not=unknown") == {"both", "a"}
    assert found("tag=unknown") == set()
    assert found("tag=a&model=gpt-5&status=success&tokens_min=1") == {"both", "a"}


def test_the_fields_of_the_menu_lead_to_one_address(gateway: Gateway, alice: User) -> None:
    store(gateway, event(tags=["a"], project="x"))
    client = signed_in(alice)
    for fields, address in (
        ({"meta": "tags=a"}, "tag=a"),
        ({"mark_key": "project", "mark_is": "is", "mark_value": "x"}, "meta=project%3Dx"),
        ({"mark_key": "project", "mark_is": "is_not", "mark_value": "x"}, "meta_not=project%3Dx"),
        ({"mark_key": "tags", "mark_is": "is_not", "mark_value": "a"}, "tag_not=a"),
        ({"mark_key": "tags", "mark_is": "has"}, "has=tags"),
        ({"mark_key": "project", "mark_is": "has_not", "mark_value": "ignored"}, "has_not=project"),
        ({"mark_key": "project", "mark_is": "is", "mark_value": ""}, ""),
    ):
        answer = client.post("/records/usage/", fields)
        assert answer.status_code == 302
        assert answer["Location"].partition("?")[2] == address


def test_what_is_no_key_and_value_is_said_and_filters_nothing(gateway: Gateway, alice: User) -> None:
    store(gateway, event(project="x"))
    page = signed_in(alice).get("/records/usage/?meta=project")
    assert "is not a key and a value" in page.content.decode()
    assert len(page.context["rows"]) == 1
    assert listed(signed_in(alice), "meta=project%3D") == listed(signed_in(alice), "meta=%3Dx") == []
    assert len(listed(signed_in(alice), "meta_not=project%3D")) == 1


def test_the_menu_is_there_only_where_records_have_tags_or_metadata(gateway: Gateway, alice: User) -> None:
    client = signed_in(alice)
    store(gateway, event(ago=3))
    assert "menu-marks" not in client.get("/records/usage/").content.decode()
    store(gateway, event(tags=["search"], project="atlas", ago=2))
    page = client.get("/records/usage/").content.decode()
    assert "menu-marks" in page and 'value="tags=search"' in page and 'value="project=atlas"' in page
    chosen = client.get("/records/usage/?tag=search&tag_not=x&has=project").content.decode()
    assert 'value="tags=search" checked' in chosen
    assert '<input type="hidden" name="tag_not" value="x">' in chosen, "what no box stands for is sent along"
    assert "Tag: search" in chosen and "Tag is not: x" in chosen and "With: project" in chosen


def test_a_key_of_too_many_values_is_kept_but_not_offered_and_says_so(
    gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offered, "MOST_VALUES", 3)
    monkeypatch.setattr(offered, "MOST_KEYS", 2)
    store(gateway, *(event(job=f"j{number}", tags=["t"], zone="z", ago=number + 1) for number in range(5)))
    client = signed_in(alice)
    page = client.get("/records/usage/").content.decode()
    assert "job has too many values to be listed" in page
    assert 'value="job=j1"' not in page and 'value="tags=t"' in page
    assert "Records have more keys than are listed here" in page
    assert len(listed(client, "meta=job%3Dj4")) == 1, "what is typed is found all the same"
    assert len(listed(client, "has=zone")) == 5
    mine = OfferedValue.objects.filter(user_id=alice.pk)
    assert mine.filter(key="job").exclude(value="").count() == 3
    assert set(mine.values_list("key", flat=True)) == {"", "job", "tags"}
    store(gateway, event(job="j9", ago=0.5))
    assert mine.filter(key="job").exclude(value="").count() == 3


def test_values_are_found_as_one_types(gateway: Gateway, alice: User, bob: User) -> None:
    store(gateway, *(event(tags=[f"feature-{number:02}"], ago=number + 1) for number in range(45)))
    store(gateway, event(bob, tags=["feature-of-bob"], ago=50))
    client = signed_in(alice)
    assert 'hx-post="/records/usage/values/"' in client.get("/records/usage/").content.decode()
    answer = client.post("/records/usage/values/", {"q": "FEATURE-4"}).content.decode()
    assert 'value="tags=feature-44"' in answer and "bob" not in answer
    assert "There are more" in client.post("/records/usage/values/", {"q": "feature"}).content.decode()
    assert "No matches" in client.post("/records/usage/values/", {"q": "of-bob"}).content.decode()


def test_values_lead_from_a_record_to_those_that_have_the_same(gateway: Gateway, alice: User) -> None:
    one = event(tags=["a b"], project="x")
    store(gateway, one)
    record = UsageRecord.objects.get(request_id=one.request_id)
    page = signed_in(alice).get(f"/records/usage/{record.id}/").content.decode()
    assert "/records/usage/?range=30d&amp;tag=a+b" in page
    assert "/records/usage/?range=30d&amp;meta=project%3Dx" in page


# --- Who sees what -----------------------------------------------------------------------------------------


def test_nobody_finds_or_is_offered_anothers(gateway: Gateway, alice: User, bob: User) -> None:
    store(gateway, event(alice, tags=["secret-project"]))
    client = signed_in(bob)
    assert listed(client, "tag=secret-project") == []
    store(gateway, event(bob, ago=3))
    assert "secret-project" not in client.get("/records/usage/").content.decode()


def test_a_lead_neither_sees_nor_filters_by_metadata(gateway: Gateway, alice: User, bob: User) -> None:
    team = Team.objects.create(name="search")
    team.leads.add(bob)
    Membership.objects.create(team=team, user=alice, since=timezone.now() - timedelta(days=9))
    store(gateway, event(alice, tags=["quoted"], ago=3), event(alice, ago=2))
    client = signed_in(bob)
    for query in ("tag=quoted", "tag_not=quoted", "meta=a%3Db", "has=tags", "has_not=tags"):
        page = client.get(f"/records/usage/?of=team:{team.pk}&{query}")
        assert len(page.context["rows"]) == 2, "a filter would tell what is not shown"
        assert "not shown to leads" in page.content.decode()
        assert page.context["address"].encoded == f"of=team%3A{team.pk}"
    page = client.get(f"/records/usage/?of=team:{team.pk}&compare=tag")
    assert page.context["comparison"] is None and "quoted" not in page.content.decode()
    answer = client.post(f"/records/usage/values/?of=team:{team.pk}", {"q": "quoted"})
    assert "quoted" not in answer.content.decode().replace('value="quoted"', "")
    token = personal_tokens.issue(bob, "t", 30)[1]
    reader = Client(headers={"Authorization": f"Bearer {token}"})
    assert reader.get(f"/api/v1/usage/breakdown?of=team:{team.pk}&by=tag").status_code == 400
    assert reader.get(f"/api/v1/usage?of=team:{team.pk}&tag=quoted").status_code == 400
    [one, other] = reader.get(f"/api/v1/usage?of=team:{team.pk}").json()["data"]
    assert one["tags"] == other["tags"] == []


def test_an_admin_filters_everybodys_a_teams_and_one_persons(
    gateway: Gateway, alice: User, bob: User, admin: User
) -> None:
    team = Team.objects.create(name="search")
    Membership.objects.create(team=team, user=alice, since=timezone.now() - timedelta(minutes=6))
    store(
        gateway,
        event(alice, tags=["x"], ago=9),
        event(alice, tags=["x"], ago=3),
        event(bob, tags=["x"], ago=2),
    )
    client = signed_in(admin)
    assert len(listed(client, "of=everyone&tag=x")) == 3
    assert len(listed(client, f"of=person:{alice.pk}&tag=x")) == 2
    assert len(listed(client, f"of=team:{team.pk}&tag=x")) == 1, "a member's from joining on"
    assert "tags=x" in client.get("/records/usage/?of=everyone").content.decode()


# --- Kept true ---------------------------------------------------------------------------------------------


def test_marks_follow_a_record_that_is_completed_moved_or_taken_away(gateway: Gateway, alice: User) -> None:
    one = event(tags=["old"], project="x")
    store(gateway, one)
    record = UsageRecord.objects.select_related("model").get(request_id=one.request_id)
    later = event_of(
        request_id=one.request_id,
        created_at=one.created_at - timedelta(minutes=1),
        metadata={"tags": ["new"], "project": "x"},
    )
    assert batches.complete(gateway, [(record, later)]) == {}
    moved = UsageRecord.objects.select_related("model").get(request_id=one.request_id)
    assert moved.id != record.id
    wanted = {digest_of("tags"), digest_of("tags", "new"), digest_of("project"), digest_of("project", "x")}
    marks = set(UsageMark.objects.values_list("digest", "id", "user_id"))
    assert marks == {(digest, moved.id, alice.pk) for digest in wanted}
    batches.take_away([(moved, None)])
    assert not UsageMark.objects.exists()


def test_two_users_that_are_one_have_each_others(gateway: Gateway, alice: User, bob: User) -> None:
    store(gateway, event(alice, tags=["x"], ago=3), event(bob, tags=["x", "y"], ago=2))
    merging.merge(bob, alice)
    client = signed_in(User.objects.get(pk=alice.pk))
    assert len(listed(client, "tag=x")) == 2
    assert 'value="tags=y"' in client.get("/records/usage/").content.decode()


def test_what_is_sent_twice_is_marked_once(gateway: Gateway, alice: User) -> None:
    one = event(tags=["x"])
    for _time in range(2):
        batches.store(gateway, Batch(events=[(0, one)], rejected=[]))
    assert UsageMark.objects.count() == 2


def test_marks_lie_in_the_month_of_their_record(gateway: Gateway, alice: User) -> None:
    one = event(tags=["x"])
    store(gateway, one)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableoid::regclass::text FROM usage_mark")
        assert cursor.fetchall() == [(f"usage_mark_{Month.of(one.created_at).suffix}",)]


# --- What other formats tell -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "tags", "metadata"),
    [
        ({"tag.tags": ["a", "b"], "metadata": '{"project": "x", "deep": {}}'}, ["a", "b"], {"project": "x"}),
        (
            {
                "langsmith.span.tags": "a, b",
                "langsmith.metadata.ls_provider": "openai",
                "langsmith.metadata.job": 3,
            },
            ["a", "b"],
            {"job": 3},
        ),
        ({"logfire.tags": ["a"], "langsmith.metadata.session_id": "s"}, ["a"], None),
        (
            {"ai.telemetry.metadata.tags": ["a", "b"], "ai.telemetry.metadata.dry": True},
            ["a", "b"],
            {"dry": True},
        ),
        ({"traceloop.association.properties.customer": "c1"}, None, {"customer": "c1"}),
        ({"langfuse.trace.tags": ["a"], "langfuse.trace.metadata.zone": "eu"}, ["a"], {"zone": "eu"}),
        ({"tag.tags": [], "metadata": "no object"}, None, None),
    ],
)
def test_spans_tell_tags_and_metadata(
    sender: Sender, alice: User, attributes: dict[str, Any], tags: Any, metadata: Any
) -> None:
    told = {**spans.CHAT, "user.id": alice.email, **attributes}
    assert sender.post(spans.PATH, spans.request(spans.span(told))).status_code == 200
    record = sender.record("chatcmpl-1")
    assert record.metadata.get("tags") == tags
    assert record.metadata.get("requester_metadata") == metadata
    if metadata:
        [(key, value)] = metadata.items()
        said = str(value).lower() if isinstance(value, bool) else value
        assert listed(signed_in(alice), f"range=all&meta={key}%3D{said}") == ["chatcmpl-1"]


@captures.needed
def test_litellms_tags_and_metadata_are_found(sender: Sender, admin: User) -> None:
    capture = captures.load("litellm/json_array")
    assert sender.post("/api/v1/ingest/litellm", capture.body).status_code == 200
    client = signed_in(admin)
    assert len(listed(client, "of=everyone&range=all&tag=nightly&tag=routescope-test")) == 5
    assert len(listed(client, "of=everyone&range=all&meta=scenario%3Dstream")) == 1


@pytest.mark.django_db
def test_what_no_latency_is_kept_of_has_no_column_of_it(gateway: Gateway, alice: User) -> None:
    store(gateway, event_of(created_at=just_now(), metadata={"tags": ["search"]}, duration_ms=1_200))
    client = signed_in(alice)
    for query, is_there in (("compare=model", True), ("compare=tag", False)):
        page = client.get(f"/records/usage/?range=24h&{query}").content.decode()
        assert ('class="k-p50' in page, 'class="k-p95' in page) == (is_there, is_there)
        table = page.split('<table class="listing compare"')[1].split("</table>")[0]
        heads, total = table.split("</thead>")[0], table.split("<tfoot>")[1]
        assert heads.count("<th ") == total.count("<th ") + total.count("<td ")
