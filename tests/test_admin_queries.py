"""What the Django admin's list of records costs: few queries, each through an index."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.models import Status, UsageRecord
from logs.models.events import UsageEvent
from tests.admin_pages import RECORDS, client, listed, records, row_id, text
from tests.cast import NOON, event, store

__all__ = ["client", "records"]

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
    # The record, and what else is of its request.
    assert len(found) == 2
    for statement in found:
        assert_uses_indexes(statement)


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
