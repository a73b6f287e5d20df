"""The Django admin: its door and index, and everybody's records and tasks, read-only and cheap to list."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.events import Failure, UsageEvent
from routescope.data.ids import derived_id
from tasks.models import AsyncTask, EventKind, TaskEvent, TaskStatus, TaskType
from tasks.tab import listing as tasks_listing
from tests.cast import NOON, event, just_now, signed_in, store
from tests.e2e import hands
from tests.moments import tasks as moments

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

RECORDS = "/admin/logs/usagerecord/"
TASKS = "/admin/tasks/asynctask/"
DAY: dict[str, Any] = {"start": "2026-03-10T00:00", "end": "2026-03-11T00:00"}


@pytest.fixture
def client(admin: User) -> Client:
    return signed_in(admin)


def text(response: Answer) -> str:
    return unescape(response.content.decode())


def figures(response: Answer) -> dict[str, str]:
    return dict(re.findall(r'data-stat="(\w+)" data-value="([^"]*)"', text(response)))


def listed(response: Answer) -> list[str]:
    return re.findall(r'class="mono nowrap" title="([^"]+)"', text(response))


def link(response: Answer, rel: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{rel}">', text(response))
    return found[1] if found else ""


def row_id(model: type[AIModel | Group | ApiToken], name: str) -> int:
    return model.objects.get(name=name).pk


# --- The door and the index ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_stranger_is_led_to_our_sign_in_page_and_back() -> None:
    response = Client().get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert "%2Fadmin%2F" in response.redirect_chain[-1][0]


def test_somebody_who_is_no_admin_gets_in_nowhere(alice_client: Client) -> None:
    assert alice_client.get("/admin/", follow=True).status_code == 403
    assert alice_client.get(RECORDS, follow=True).status_code == 403


def test_the_index_is_in_the_order_of_use(client: Client) -> None:
    page = text(client.get("/admin/"))
    assert "Routescope administration" in page
    content = page[page.index('id="content-main"') :]
    names = re.findall(r'<th scope="row" id="[\w-]+">\s*<a href="[^"]+">([^<]+)</a>', content)
    assert names[:5] == ["Usage records", "Tasks", "Users", "API tokens", "Groups"]
    assert re.findall(r'class="section"[^>]*>([^<]+)<', content)[:5] == [
        "Operation Records",
        "People",
        "Gateways",
        "Prices",
        "Privacy",
    ]


def test_no_two_lines_of_the_index_have_one_name(client: Client) -> None:
    app_list = client.get("/admin/").context["app_list"]
    names = [str(entry["name"]) for section in app_list for entry in section["models"]]
    assert len(names) > 15
    assert sorted(names) == sorted(set(names))


@pytest.mark.django_db
def test_every_list_opens_and_searches(client: Client) -> None:
    for model, model_admin in django_admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"{name}_changelist")).status_code == 200, name
        if model_admin.search_fields or model in (UsageRecord, AsyncTask):
            assert client.get(reverse(f"{name}_changelist"), {"q": "any"}).status_code == 200, name
        added = client.get(reverse(f"{name}_add")).status_code
        assert added == (403 if model in (UsageRecord, AsyncTask) else added), name
        assert added in (200, 403), name


# --- Usage records: what is listed -----------------------------------------------------------------------


@pytest.fixture
def records(gateway: Gateway, alice: User, bob: User) -> None:
    store(
        gateway,
        event(request_id="a-1", cost=Decimal("0.0100"), cached_tokens=40, upstream_request_id="up-1"),
        event(request_id="a-2", minutes=1, cost=Decimal("0.02"), model="claude", group="vip", token="test"),
        event(request_id="a-2", minutes=2, cost=Decimal("-0.005"), type=RecordType.REFUND, input_tokens=0),
        event("bob@example.com", request_id="b-1", minutes=70, model="claude", cost=Decimal(0)),
        event(
            "bob@example.com",
            request_id="b-2",
            minutes=71,
            model="in-house",
            status=Status.ERROR,
            http_status=429,
            error=Failure(type="rate_limit_error", message="Slow <down>", code="rpm"),
            parameters={"temperature": 0.5, "stop": ["<end>"]},
            output_tokens=0,
        ),
        event(request_id="long-ago", minutes=-60 * 24 * 40),
    )


@pytest.mark.usefixtures("records")
def test_all_users_records_are_listed_newest_first_under_their_sums(client: Client) -> None:
    response = client.get(RECORDS, DAY)
    assert listed(response) == ["b-2", "b-1", "a-2", "a-2", "a-1"]
    assert figures(response) == {
        "requests": "4",
        "errors": "1",
        "input_tokens": "400",
        "cached_tokens": "40",
        "output_tokens": "80",
        "cost": "0.025000000000",
    }
    assert all(word in text(response) for word in ("Alice", "Bob", "prod", "claude", "vip", "Rate limit 429"))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"model": "claude"}, ["b-1", "a-2"]),
        ({"group": "vip"}, ["a-2"]),
        ({"token": "test"}, ["a-2"]),
        ({"user": "bob@example.com"}, ["b-2", "b-1"]),
        ({"user": "bob@example.com", "model": "claude"}, ["b-1"]),
        ({"user": "alice@example.com", "token": "test", "type": RecordType.REFUND}, []),
        ({"status": Status.ERROR}, ["b-2"]),
        ({"cause": Cause.RATE_LIMIT}, ["b-2"]),
        ({"cause": Cause.TIMEOUT}, []),
        ({"type": RecordType.REFUND}, ["a-2"]),
        ({"status": Status.ERROR, "model": "claude"}, []),
    ],
)
def test_filters_narrow_the_list_and_its_sums(
    client: Client, choices: dict[str, Any], expected: list[str]
) -> None:
    query = dict(choices)
    if "user" in query:
        query["user"] = User.objects.get(email=query["user"]).pk
    for name, model in (("model", AIModel), ("group", Group), ("token", ApiToken)):
        if name in query:
            query[name] = row_id(model, query[name])
    response = client.get(RECORDS, {**DAY, **query})
    assert listed(response) == expected
    calls = UsageRecord.objects.filter(request_id__in=expected, type=RecordType.REQUEST)
    if choices.get("type") == RecordType.REFUND:
        calls = calls.none()
    assert figures(response)["requests"] == str(len(calls))
    assert figures(response)["input_tokens"] == str(sum(record.input_tokens for record in calls))


@pytest.mark.usefixtures("records")
def test_several_models_are_chosen_at_once(client: Client) -> None:
    chosen = [row_id(AIModel, "claude"), row_id(AIModel, "gpt-5")]
    assert len(listed(client.get(RECORDS, {**DAY, "model": chosen}))) == 4


def test_without_a_choice_the_last_24_hours_are_listed(client: Client, gateway: Gateway) -> None:
    now = timezone.now()
    moments = {"now": now, "earlier": now - timedelta(hours=23), "before": now - timedelta(hours=26)}
    store(gateway, *(event(request_id=name, created_at=moment) for name, moment in moments.items()))
    response = client.get(RECORDS)
    assert listed(response) == ["now", "earlier"]
    assert figures(response)["requests"] == "2"
    assert listed(client.get(RECORDS, {"range": "7d"})) == ["now", "earlier", "before"]


@pytest.mark.usefixtures("records")
def test_a_range_to_the_minute_lists_to_the_minute_and_sums_whole_hours(client: Client) -> None:
    response = client.get(RECORDS, {"start": "2026-03-10T12:01", "end": "2026-03-10T12:02"})
    assert listed(response) == ["a-2"]
    assert figures(response)["requests"] == "2"
    assert "The sums are of whole hours: 2026-03-10 12:00:00 to 2026-03-10 13:00:00." in text(response)


@pytest.mark.usefixtures("records")
def test_times_are_the_admins_own(client: Client, admin: User) -> None:
    admin.time_zone = "Asia/Shanghai"
    admin.save()
    response = client.get(RECORDS, {"start": "2026-03-10T20:00", "end": "2026-03-10T21:00"})
    assert listed(response) == ["a-2", "a-2", "a-1"]
    assert "2026-03-10 20:00:00" in text(response)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("pasted", ["a-1", "up-1", ' "a-1" ', "Error: boom (request id: long-ago)"])
def test_a_request_id_is_found_over_all_time_whatever_the_filters_say(client: Client, pasted: str) -> None:
    hidden: dict[str, Any] = {"start": "2020-01-01T00:00", "end": "2020-01-02T00:00", "status": Status.ERROR}
    response = client.get(RECORDS, {"q": pasted, **hidden})
    assert listed(response) == ["long-ago" if "long-ago" in pasted else "a-1"]
    assert figures(response)["requests"] == "1"


@pytest.mark.usefixtures("records")
def test_an_id_that_no_record_carries_may_be_a_tasks(client: Client) -> None:
    response = client.get(RECORDS, {"q": "task_77"})
    assert listed(response) == []
    assert f'<a href="{TASKS}?q=task_77">Look for a task with it</a>' in text(response)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"user": "999999"}, "Select a valid choice"),
        ({"model": "x"}, "not a valid value"),
        ({"model": "99999999999999999999"}, "Select a valid choice"),
        ({"user": "99999999999999999999"}, "Select a valid choice"),
        ({"start": "2026-03-11T00:00", "end": "2026-03-10T00:00"}, "The range ends before it starts"),
        ({"start": "yesterday"}, "is not a time"),
        ({"status": "7"}, "Select a valid choice"),
        ({"q": "nul\x00"}, "Null characters"),
    ],
)
def test_what_cannot_be_used_is_said_and_lists_nothing(
    client: Client, query: dict[str, str], said: str
) -> None:
    response = client.get(RECORDS, query)
    assert response.status_code == 200
    assert said in text(response)
    assert listed(response) == []


@pytest.mark.usefixtures("records")
def test_a_token_of_another_user_than_the_one_chosen_is_refused(client: Client, bob: User) -> None:
    response = client.get(RECORDS, {**DAY, "user": bob.pk, "token": row_id(ApiToken, "test")})
    assert "This token belongs to Alice." in text(response)


@pytest.mark.usefixtures("records")
def test_unknown_parameters_are_left_alone(client: Client) -> None:
    for query in (
        {"e": "1"},
        {"p": "x"},
        {"user__email": "a"},
        {"all": ""},
        {"older": "x"},
        {"_facets": "1"},
    ):
        assert client.get(RECORDS, {**DAY, **query}).status_code == 200


def test_pages_lead_to_older_and_newer_ones(client: Client, gateway: Gateway) -> None:
    store(gateway, *(event(request_id=f"r-{number}", minutes=number) for number in range(120)))
    first = client.get(RECORDS, DAY)
    assert listed(first) == [f"r-{number}" for number in range(119, 69, -1)]
    assert not link(first, "prev")
    second = client.get(RECORDS + link(first, "next"))
    assert listed(second) == [f"r-{number}" for number in range(69, 19, -1)]
    third = client.get(RECORDS + link(second, "next"))
    assert listed(third) == [f"r-{number}" for number in range(19, -1, -1)]
    assert not link(third, "next")
    assert listed(client.get(RECORDS + link(third, "prev"))) == listed(second)
    assert figures(third) == figures(first)


# --- Usage records: what they cost -----------------------------------------------------------------------

PEOPLE, SPAN = 20, 45


@pytest.fixture
def busy(gateway: Gateway) -> None:
    """Some thousands of records of twenty people over a month and a half; one model is rare."""
    store(gateway, *(_one_of_many(number) for number in range(9_000)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _one_of_many(number: int) -> UsageEvent:
    return event(
        f"person-{number % PEOPLE}@example.com",
        request_id=f"busy-{number}",
        created_at=NOON + timedelta(minutes=number * SPAN * 24 * 60 / 9_000),
        model="rare" if number % 1500 == 7 else f"model-{number % 7}",
        group=f"group-{number % 3}",
        status=Status.ERROR if number % 50 == 0 else Status.SUCCESS,
        upstream_request_id=f"up-{number}",
        metadata={"note": "x" * 200},
    )


def queries(client: Client, query: dict[str, Any]) -> list[str]:
    """Return the statements on records and sums that a list takes."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get(RECORDS, query)
    assert response.status_code == 200
    return [
        entry["sql"]
        for entry in captured.captured_queries
        if re.search(r'FROM "?usage_', entry["sql"]) and not entry["sql"].startswith("EXPLAIN")
    ]


MONTH_AND_A_HALF = {"start": "2026-03-10T00:00", "end": "2026-04-26T00:00"}
COMBINATIONS: list[dict[str, str]] = [
    {},
    {"model": "model-1"},
    {"model": "rare"},
    {"group": "group-1"},
    {"status": "2"},
    {"type": "3"},
    {"model": "rare", "group": "group-1", "status": "1"},
    {"user": "person-3@example.com"},
    {"user": "person-3@example.com", "model": "model-3"},
    {"token": "prod"},
    {"q": "busy-4000"},
    {"q": "up-4000"},
    {"q": "nothing"},
]


def _with_ids(choices: dict[str, str]) -> dict[str, Any]:
    query: dict[str, Any] = {**MONTH_AND_A_HALF, **choices}
    if "user" in query:
        query["user"] = User.objects.get(email=query["user"]).pk
    if "token" in query:
        query["token"] = ApiToken.objects.filter(name=query["token"]).order_by("pk")[0].pk
    for name, model in (("model", AIModel), ("group", Group)):
        if name in query:
            query[name] = row_id(model, query[name])
    return query


@pytest.mark.usefixtures("busy")
def test_no_list_counts_scans_or_takes_many_queries(client: Client) -> None:
    for choices in COMBINATIONS:
        statements = queries(client, _with_ids(choices))
        assert 1 <= len(statements) <= 8, choices
        for statement in statements:
            assert not ("COUNT(" in statement.upper() and "usage_record" in statement), statement
            assert "DISTINCT" not in statement.upper() or "usage_record" not in statement, statement
            assert "OFFSET" not in statement.upper(), statement
            assert_uses_indexes(statement)


def assert_uses_indexes(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    scanned = re.findall(r"Seq Scan on (usage_record_2026_0[34]\S*)", plan)
    assert not scanned, f"{statement}\n{plan}"


@pytest.mark.usefixtures("busy")
def test_every_list_query_on_records_is_bounded_in_time_or_by_an_id(client: Client) -> None:
    for choices in COMBINATIONS:
        for statement in queries(client, _with_ids(choices)):
            if 'FROM "usage_record"' not in statement:
                continue
            where = statement[statement.index("WHERE") :]
            by_user = '"user_id" IN (' in where and '"id" >=' in where
            by_time = '"created_at" >=' in where and '"created_at" <' in where
            by_key = '"id" IN' in where or '"request_id" =' in where
            assert by_user or by_time or by_key, statement
            assert "LIMIT" in where or '"id" IN' in where, statement


@pytest.mark.usefixtures("busy")
def test_a_rare_model_is_looked_for_only_where_it_occurs(client: Client) -> None:
    [found] = [
        statement
        for statement in queries(client, _with_ids({"model": "rare"}))
        if 'FROM "usage_record"' in statement and "UNION ALL" in statement
    ]
    assert found.count('FROM "usage_record"') == 6
    assert len(listed(client.get(RECORDS, _with_ids({"model": "rare"})))) == 6


@pytest.mark.usefixtures("busy")
def test_a_record_is_opened_through_an_index(client: Client) -> None:
    record = UsageRecord.objects.get(request_id="busy-4000")
    with CaptureQueriesContext(connection) as captured:
        assert client.get(f"{RECORDS}{record.pk}/change/").status_code == 200
    found = [entry["sql"] for entry in captured.captured_queries if 'FROM "usage_record"' in entry["sql"]]
    assert len(found) == 1
    assert_uses_indexes(found[0])


@pytest.mark.usefixtures("busy")
def test_the_page_lists_no_vocabulary(client: Client) -> None:
    page = text(client.get(RECORDS, _with_ids({"user": "person-3@example.com"})))
    assert '<option value="' in page
    assert "person-4@example.com" not in page[: page.index("changelist-form")]
    assert "model-5" not in page[: page.index("changelist-form")]


@pytest.mark.usefixtures("records")
def test_tokens_are_looked_up_with_their_owners(client: Client) -> None:
    source = {"app_label": "logs", "model_name": "usagerecord", "field_name": "token", "term": "prod"}
    found = client.get("/admin/autocomplete/", source).json()["results"]
    assert {row["text"] for row in found} == {"prod · Alice", "prod · Bob"}


# --- Usage records: one of them, and nothing to change ---------------------------------------------------


@pytest.mark.usefixtures("records")
def test_a_record_shows_all_it_holds(client: Client) -> None:
    record = UsageRecord.objects.get(request_id="b-2")
    page = text(client.get(f"{RECORDS}{record.pk}/change/"))
    for shown in (
        "b-2",
        str(record.pk),
        "2026-03-10 13:11:00.000",
        "rate_limit_error",
        "rpm",
        "Slow <down>",
        '"temperature": 0.5',
        '"<end>"',
        f'href="/admin/accounts/user/{record.user_id}/change/"',
        f'href="/admin/accounts/apitoken/{record.token_id}/change/"',
        f'href="/admin/accounts/gateway/{record.gateway_id}/change/"',
        "No price is known",
    ):
        assert shown in page
    assert "<end>" not in client.get(f"{RECORDS}{record.pk}/change/").content.decode()
    assert "/r/" not in page


def test_the_permalink_is_offered_only_where_it_works(client: Client, gateway: Gateway, admin: User) -> None:
    store(gateway, event(str(admin.email), request_id="mine/1"))
    record = UsageRecord.objects.get(request_id="mine/1")
    page = text(client.get(f"{RECORDS}{record.pk}/change/"))
    [url] = re.findall(r'<a href="(/r/[^"]+)"', page)
    assert client.get(url).status_code == 302


@pytest.mark.usefixtures("records")
def test_a_record_whose_names_are_gone_still_opens(client: Client) -> None:
    UsageRecord.objects.filter(request_id="b-2").update(
        user_id=999_999, token_id=999_999, group_id=999_999, model_id=999_999, gateway_id=999_999
    )
    record = UsageRecord.objects.get(request_id="b-2")
    assert "999999" in text(client.get(f"{RECORDS}{record.pk}/change/"))
    assert listed(client.get(RECORDS, {"q": "b-2"})) == ["b-2"]


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["x", "f" * 32, "00000000-0000-8000-8000-000000000000", "1_2F"])
def test_an_id_of_no_record_leads_back_to_the_index(client: Client, wrong: str) -> None:
    response = client.get(f"{RECORDS}{wrong}/change/", follow=True)
    assert response.redirect_chain == [("/admin/", 302)]


@pytest.mark.usefixtures("records")
def test_nobody_adds_changes_or_deletes_a_record(client: Client) -> None:
    record = UsageRecord.objects.get(request_id="b-2")
    assert client.get(f"{RECORDS}add/").status_code == 403
    assert client.post(f"{RECORDS}{record.pk}/change/", {"cause": 1}).status_code == 403
    assert client.get(f"{RECORDS}{record.pk}/delete/").status_code == 403
    assert client.post(f"{RECORDS}{record.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{RECORDS}{record.pk}/history/").status_code == 404
    client.post(RECORDS, {"action": "delete_selected", "_selected_action": [str(record.pk)], "post": "yes"})
    assert UsageRecord.objects.filter(request_id="b-2").exists()
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("records")
def test_staff_see_records_only_with_the_permission(bob: User) -> None:
    bob.is_staff = True
    bob.save()
    assert signed_in(bob).get(RECORDS).status_code == 403
    bob.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    response = signed_in(User.objects.get(pk=bob.pk)).get(RECORDS, DAY)
    assert len(listed(response)) == 5


# --- Tasks -----------------------------------------------------------------------------------------------


def task(gateway: Gateway, user: User, name: str, minutes: int = 0, **fields: Any) -> AsyncTask:
    moment = NOON + timedelta(minutes=minutes)
    moments.took(moment, (gateway.pk, name))
    made: AsyncTask = AsyncTask.objects.create(
        id=derived_id(moment, gateway.pk, name),
        submitted_at=moment,
        gateway=gateway,
        user=user,
        task_id=name,
        **{"platform": "runway", "type": TaskType.VIDEO, **fields},
    )
    return made


@pytest.fixture
def some_tasks(gateway: Gateway, alice: User, bob: User) -> list[AsyncTask]:
    return [
        task(gateway, alice, "t-1", provider_task_id="prov-1", request_id="a-1"),
        task(gateway, alice, "t-2", 1, status=TaskStatus.FAILED, failure_message="No <credit>"),
        task(gateway, bob, "t-3", 2, platform="suno", type=TaskType.MUSIC, result={"audio": ["<u>"]}),
        task(gateway, bob, "t-old", -60 * 24 * 400),
    ]


@pytest.mark.usefixtures("some_tasks")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["t-3", "t-2", "t-1"]),
        ({"status": "failed"}, ["t-2"]),
        ({"type": "music"}, ["t-3"]),
        ({"platform": "suno"}, ["t-3"]),
        ({"user": "alice"}, ["t-2", "t-1"]),
        ({"user": "alice", "status": "queued"}, ["t-1"]),
        ({"q": "t-old"}, ["t-old"]),
        ({"q": "prov-1"}, ["t-1"]),
        ({"q": "a-1"}, ["t-1"]),
        ({"q": "none"}, []),
    ],
)
def test_tasks_are_found_and_filtered(
    client: Client, alice: User, query: dict[str, Any], expected: list[str]
) -> None:
    chosen = {**DAY, **query}
    if "user" in chosen:
        chosen["user"] = str(alice.pk)
    assert listed(client.get(TASKS, chosen)) == expected


def test_a_task_shows_what_became_of_it_and_changes_nowhere(
    client: Client, some_tasks: list[AsyncTask]
) -> None:
    page = text(client.get(f"{TASKS}{some_tasks[1].pk}/change/"))
    assert "No <credit>" in page
    assert "Failed" in page
    assert f'href="{RECORDS}?q=a-1"' in text(client.get(f"{TASKS}{some_tasks[0].pk}/change/"))
    TaskEvent.objects.create(task=some_tasks[1], key="k", kind=EventKind.POLL, word="<dead>", http_status=502)
    page = text(client.get(f"{TASKS}{some_tasks[1].pk}/change/"))
    assert all(word in page for word in ("Timeline", "Polled", "<dead>", "502"))
    assert client.post(f"{TASKS}{some_tasks[1].pk}/change/", {"status": "queued"}).status_code == 403
    assert client.post(f"{TASKS}{some_tasks[1].pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{TASKS}x/change/").status_code == 302


def test_a_search_for_a_rare_task_stops_early_and_goes_on(
    client: Client, gateway: Gateway, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks_listing, "READ_AT_MOST", 10)
    for number in range(35):
        task(gateway, alice, f"t-{number}", number, platform="rare" if number in (3, 30, 34) else "runway")
    seen, url = [], f"{TASKS}?platform=rare&start=2026-03-10T00:00&end=2026-03-11T00:00"
    pages = 0
    while True:
        response = client.get(url)
        seen += listed(response)
        pages += 1
        if not (onward := link(response, "next")):
            break
        assert "the search stopped here" in text(response)
        url = TASKS + onward
    assert seen == ["t-34", "t-30", "t-3"]
    assert pages == 4
    while back := link(response, "prev"):
        response = client.get(TASKS + back)
        pages += 1
        assert pages < 10
    assert listed(response) == ["t-34", "t-30"]


# --- In a browser ----------------------------------------------------------------------------------------


@pytest.fixture
def admin_page(page: Page, admin: User) -> Page:
    page.goto("/admin/")
    hands.sign_in(page, str(admin.email), "admin-password")
    expect(page.get_by_role("heading", name="Administration", exact=True)).to_be_visible()
    return page


@pytest.mark.django_db(transaction=True)
def test_in_a_browser_records_are_narrowed_to_a_user_and_opened(
    admin_page: Page, gateway: Gateway, alice: User, bob: User
) -> None:
    store(
        gateway,
        event(request_id="alices", created_at=just_now()),
        event("bob@example.com", request_id="bobs", created_at=just_now()),
    )
    admin_page.goto(RECORDS)
    expect(admin_page.locator("#result_list tbody tr")).to_have_count(2)
    expect(admin_page.get_by_label("From")).to_be_hidden()
    admin_page.get_by_role("combobox", name="User:").click()
    # The box has the keyboard as soon as it is open.
    expect(admin_page.locator(".select2-search__field").last).to_be_focused()
    admin_page.keyboard.type("bob")
    hands.Mouse(admin_page).press(admin_page.get_by_role("option", name="Bob"))
    admin_page.get_by_role("button", name="Filter", exact=True).click()
    expect(admin_page.locator("#result_list tbody tr")).to_have_count(1)
    admin_page.get_by_role("link", name="bobs").click()
    expect(admin_page.get_by_role("heading", name="bobs")).to_be_visible()
    admin_page.go_back()
    hands.pick(admin_page.get_by_label("Time:"), "From – to")
    expect(admin_page.get_by_label("From")).to_be_focused()
