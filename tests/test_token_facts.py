"""What gateways tell of tokens: kept beside the records, and never over what an admin set."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.identities import merging, token_facts
from accounts.models import ApiToken, Gateway, Group, User
from logs.ingest.formats import litellm, native
from tests.cast import NOON, event, signed_in, store
from tests.newapi_installation import Installation, installation  # noqa: F401  (a fixture)

NATIVE = "/api/v1/usage"
TOKEN: dict[str, Any] = {
    "name": "prod",
    "masked_key": "sk-abcdefghijklmnopqrstuvwxyz",
    "group": "vip",
    "status": "active",
    "rpm_limit": 60,
    "tpm_limit": 200000,
    "models": ["gpt-5", "gpt-5-mini"],
    "expires_at": "2027-01-01T00:00:00Z",
    "budget": "50",
    "budget_spent": "12.5",
    "budget_resets_at": 1798761600,
}


def record(number: int, token: object, **fields: Any) -> dict[str, Any]:
    at = timezone.now() - timedelta(minutes=60 - number)
    return {
        "request_id": f"req_{number}", "created_at": at.isoformat(), "user": "alice@example.com",
        "token": token, "model": "gpt-5", **fields,
    }  # fmt: skip


def send(key: str, *records: dict[str, Any]) -> dict[str, Any]:
    answer = Client().post(
        NATIVE,
        json.dumps(records),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.django_db(transaction=True)
def test_a_record_tells_what_its_token_may_do(alice: User, ingest_key: str) -> None:
    assert send(ingest_key, record(1, TOKEN), record(2, "prod"))["accepted"] == 2
    token = ApiToken.objects.select_related("group").get()
    assert (token.name, token.rpm_limit, token.tpm_limit) == ("prod", 60, 200000)
    assert token.allowed_models == ["gpt-5", "gpt-5-mini"]
    assert token.masked_key == "sk-abcde…wxyz"
    assert token.group == Group.objects.get(name="vip")
    assert token.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert (token.budget, token.budget_spent) == (Decimal(50), Decimal("12.5"))
    assert token.budget_resets_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert token.told_at is not None
    page = signed_in(alice).get("/tokens/").content.decode()
    assert "$12.50 of $50.00 budget" in page


@pytest.mark.django_db(transaction=True)
def test_what_is_not_said_stays_and_null_takes_away(alice: User, ingest_key: str) -> None:
    send(ingest_key, record(1, TOKEN))
    send(ingest_key, record(2, {"name": "prod", "tpm_limit": None, "models": []}))
    token = ApiToken.objects.get()
    assert (token.rpm_limit, token.tpm_limit, token.allowed_models) == (60, None, [])
    # Older than what is known: sent again, or late.
    send(ingest_key, record(0, {"name": "prod", "rpm_limit": 1}))
    token.refresh_from_db()
    assert token.rpm_limit == 60


@pytest.mark.django_db(transaction=True)
def test_what_an_admin_set_stays(alice: User, admin: User, ingest_key: str) -> None:
    send(ingest_key, record(1, TOKEN))
    token = ApiToken.objects.get()
    page = f"/admin/accounts/apitoken/{token.pk}/change/"
    client = signed_in(admin)
    form = client.get(page).context["adminform"].form
    filled = {name: value for name, value in form.initial.items() if value is not None}
    filled |= {
        "rpm_limit": "30",
        "allowed_models": "gpt-5\n gpt-5 \n",
        "expires_at": "",
        "budget_resets_at": "",
    }
    filled |= {"expires_at_0": "2027-01-01", "expires_at_1": "00:00:00"}
    filled |= {"budget_resets_at_0": "2027-01-01", "budget_resets_at_1": "00:00:00"}
    answer = client.post(page, filled)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    token.refresh_from_db()
    assert token.allowed_models == ["gpt-5"]
    assert sorted(token.set_by_admin) == ["allowed_models", "rpm_limit"]
    send(ingest_key, record(2, {**TOKEN, "rpm_limit": 90, "tpm_limit": 5, "models": []}))
    token.refresh_from_db()
    assert (token.rpm_limit, token.tpm_limit, token.allowed_models) == (30, 5, ["gpt-5"])
    # Emptied, it is the gateway's to tell again.
    client.post(page, {**filled, "rpm_limit": "", "allowed_models": "*", "tpm_limit": "5"})
    send(ingest_key, record(3, {**TOKEN, "rpm_limit": 70, "tpm_limit": 5}))
    token.refresh_from_db()
    assert (token.rpm_limit, token.allowed_models, token.set_by_admin) == (70, [], ["allowed_models"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rpm_limit", -1),
        ("rpm_limit", 2**31),
        ("tpm_limit", "many"),
        ("models", "gpt-5"),
        ("models", ["x" * 201]),
        ("status", "gone"),
        ("expires_at", "soon"),
        ("budget", -1),
        ("budget", "1e99"),
        ("name", None),
    ],
)
def test_a_token_that_cannot_be_read_is_named(field: str, value: object) -> None:
    batch = native.decode(json.dumps([record(1, {**TOKEN, field: value}), record(2, TOKEN)]).encode())
    assert len(batch.events) == 1
    [rejected] = batch.rejected
    assert f"token.{field}" in rejected.error


def test_a_merged_token_is_told_as_what_it_is_now(alice: User, gateway: Gateway) -> None:
    store(gateway, event(token="old"), event(token="new"))
    old, new = ApiToken.objects.get(name="old"), ApiToken.objects.get(name="new")
    merging.merge(old, new)
    token_facts.keep(gateway, {old.pk: (token_facts.TokenFacts(rpm_limit=7), NOON)})
    assert [token.rpm_limit for token in ApiToken.objects.order_by("name")] == [7, None]


@pytest.mark.django_db(transaction=True)
def test_the_same_told_again_writes_nothing(
    alice: User, ingest_key: str, django_assert_num_queries: Any
) -> None:
    send(ingest_key, record(1, TOKEN))
    token = ApiToken.objects.get()
    spent = token_facts.TokenFacts(rpm_limit=60, budget_spent=Decimal(1))
    told = {token.pk: (spent, timezone.now())}
    gateway = Gateway.objects.get()
    token_facts.keep(gateway, told)
    more = token_facts.TokenFacts(rpm_limit=60, budget_spent=Decimal(2))
    with django_assert_num_queries(0):
        token_facts.keep(gateway, told)
        token_facts.keep(gateway, {token.pk: (more, timezone.now())})


def test_litellm_tells_a_keys_budget() -> None:
    payload: dict[str, Any] = {
        "id": "a", "litellm_call_id": "b", "call_type": "acompletion", "status": "success",
        "startTime": NOON.timestamp(), "endTime": NOON.timestamp() + 1, "model": "gpt-5",
        "metadata": {
            "user_api_key_alias": "prod", "user_api_key_user_email": "alice@example.com",
            "user_api_key_max_budget": 50.0, "user_api_key_spend": 0.025,
            "user_api_key_budget_reset_at": "2027-01-01T00:00:00+00:00",
        },
    }  # fmt: skip
    [(_, told)] = litellm.decode(json.dumps(payload).encode()).events
    assert told.token_facts is not None
    assert (told.token_facts.budget, told.token_facts.budget_spent) == (Decimal(50), Decimal("0.025"))
    assert told.token_facts.budget_resets_at == datetime(2027, 1, 1, tzinfo=UTC)
    for odd in (
        {"user_api_key_max_budget": None},
        {"user_api_key_max_budget": "much"},
        {"user_api_key_max_budget": -3},
    ):
        [(_, told)] = litellm.decode(
            json.dumps({**payload, "metadata": {**payload["metadata"], **odd}}).encode()
        ).events
        assert told.token == "prod"
        assert told.token_facts is None


# --- new-api ---------------------------------------------------------------------------------------------

_TOKENS = (
    'CREATE TABLE tokens (id INTEGER PRIMARY KEY, user_id int, "key" text, status int, name text,'
    " expired_time bigint, remain_quota int, unlimited_quota numeric, used_quota int,"
    ' model_limits_enabled numeric, model_limits text, "group" text, deleted_at datetime)'
)


def tokens_of(database: sqlite3.Connection, *rows: tuple[Any, ...]) -> None:
    database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, username text)")
    database.execute("INSERT INTO users VALUES (1, 'ann')")
    database.execute(_TOKENS)
    database.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.commit()


def test_newapis_table_of_tokens_is_taken_over(installation: Installation) -> None:  # noqa: F811
    installation.log(type=2, username="ann", token_name="prod", model_name="gpt-4o", quota=0, other="{}")
    installation.log(type=2, username="ann", token_name="twice", model_name="gpt-4o", quota=0, other="{}")
    installation.log(type=2, username="ann", token_name="free", model_name="gpt-4o", quota=0, other="{}")
    tokens_of(
        installation.database,
        (
            1,
            1,
            "secretsecret",
            4,
            "prod",
            1798761600,
            250_000,
            0,
            1_000_000,
            1,
            "gpt-4o,gpt-4o-mini",
            "vip",
            None,
        ),
        (2, 1, "k2", 1, "twice", -1, 0, 0, 0, 0, "", "", None),
        (3, 1, "k3", 2, "twice", -1, 0, 0, 0, 0, "", "", None),
        (4, 1, "k4", 1, "free", -1, 0, 1, 5, 0, "", "", None),
        (5, 1, "k5", 2, "free", -1, 0, 1, 5, 0, "", "", "2026-01-01"),
        (6, 1, "k6", 1, "never used", -1, 0, 1, 5, 0, "", "", None),
    )
    assert "2 tokens: status, models, group, expiry and budget taken over." in installation.imported()
    prod = ApiToken.objects.select_related("group").get(name="prod")
    assert (prod.status, prod.allowed_models) == ("exhausted", ["gpt-4o", "gpt-4o-mini"])
    assert (prod.budget, prod.budget_spent) == (Decimal("2.5"), Decimal(2))
    assert prod.group == Group.objects.get(name="vip")
    assert prod.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert prod.masked_key == ""
    free = ApiToken.objects.get(name="free")
    assert (free.status, free.allowed_models, free.budget, free.expires_at) == ("active", [], None, None)
    assert ApiToken.objects.get(name="twice").told_at is None
    assert not ApiToken.objects.filter(name="never used").exists()


def test_without_that_table_the_import_says_so(installation: Installation, tmp_path: Path) -> None:  # noqa: F811
    installation.log(type=2, username="ann", token_name="prod", model_name="gpt-4o", quota=0, other="{}")
    assert "No table 'tokens' that may be read" in installation.imported()
