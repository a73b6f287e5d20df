"""What paid for a call, what that held, and tokens that a gateway counted itself: sent, kept, shown."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import personal_tokens
from accounts.models import Gateway, User
from logs.ingest.formats.native import decode
from logs.models import UsageRecord
from logs.models.events import UsageEvent
from logs.pricing.funding import Funding, funding_of
from logs.record.tokens import ESTIMATED
from routescope.wire.reading import MAX_USD
from tests.cast import event, just_now, signed_in, store
from tests.export_cast import folder, made
from tests.sending import Sender, sender

__all__ = ["folder", "sender"]

RECORD = {"request_id": "r1", "created_at": 1_773_144_000, "user": "alice@example.com", "model": "gpt-5",
          "input_tokens": 1234, "output_tokens": 56, "cost": "0.25"}  # fmt: skip
PAID = {"funding_source": "wallet", "balance_before": "12.500000000001", "balance_after": "12.250000000001"}
SAID = str(ESTIMATED)


def read(billing: str, rest: str = "") -> UsageEvent:
    """Decode a record with this billing, as JSON text, beside another one that it may not harm."""
    whole = json.dumps(RECORD)
    batch = decode(f'[{whole[:-1]}, "billing": {billing}{rest}}}, {whole}]'.encode())
    assert not batch.rejected
    return batch.events[0][1]


# --- The native format -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billing", "kept"),
    [
        ('{"funding_source": "wallet"}', {"funding_source": "wallet"}),
        # A gateway's own word stays as it is.
        ('{"funding_source": " Équipe A "}', {"funding_source": "Équipe A"}),
        ('{"balance_before": "12.5", "balance_after": 0}', {"balance_before": "12.5", "balance_after": "0"}),
        ('{"balance_after": -0.0}', {"balance_after": "0"}),
        ('{"balance_after": -3.25}', {"balance_after": "-3.25"}),
        # More digits than a float holds.
        ('{"balance_after": 123456789012.123456789012}', {"balance_after": "123456789012.123456789012"}),
        ('{"balance_after": 0.1234567890123456}', {"balance_after": "0.123456789012"}),
        ('{"balance_after": 1e-400000}', {"balance_after": "0"}),
        ('{"balance_after": null, "funding_source": ""}', None),
        ('{"group_ratio": "1", "balance_after": 2}', {"group_ratio": "1", "balance_after": "2"}),
    ],
)
def test_funding_is_kept_exactly(billing: str, kept: dict[str, Any] | None) -> None:
    event = read(billing)
    assert (event.billing, event.metadata) == (kept, None)


@pytest.mark.parametrize(
    "odd",
    ['"NaN"', '"Infinity"', "1e12", '"1e12"', "1e400000", "-1e13", '"12,5"', '"much"', "true", "[1]", "{}"],
)
@pytest.mark.parametrize("field", ["balance_before", "balance_after"])
def test_an_odd_balance_is_left_out_and_named(field: str, odd: str) -> None:
    event = read(f'{{"{field}": {odd}, "funding_source": "package", "note": 1}}')
    assert event.billing == {"funding_source": "package", "note": 1}
    assert event.metadata == {"left_out": [f"billing.{field}"]}
    assert event.cost == Decimal("0.25")


@pytest.mark.parametrize("odd", ["7", "{}", '["wallet"]', "true", json.dumps("w" * 61)])
def test_an_odd_source_is_left_out_and_named(odd: str) -> None:
    event = read(f'{{"funding_source": {odd}, "balance_after": 1}}')
    assert event.billing == {"balance_after": "1"}
    assert event.metadata == {"left_out": ["billing.funding_source"]}


@pytest.mark.parametrize(
    ("sent", "kept", "left_out"),
    [
        ("true", True, False),
        ("false", None, False),
        ("null", None, False),
        ('"true"', None, True),
        ("1", None, True),
        ("{}", None, True),
    ],
)
def test_estimated_usage_is_said_or_not(sent: str, kept: bool | None, left_out: bool) -> None:
    event = read("null", f', "usage_estimated": {sent}')
    assert event.usage_estimated is kept
    assert event.metadata == ({"left_out": ["usage_estimated"]} if left_out else None)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)


@given(source=_ANY, before=_ANY, after=_ANY, estimated=_ANY)
def test_whatever_is_sent_costs_no_record(source: Any, before: Any, after: Any, estimated: Any) -> None:
    billing = {"funding_source": source, "balance_before": before, "balance_after": after}
    event = read(json.dumps(billing), f', "usage_estimated": {json.dumps(estimated)}')
    paid_from = funding_of(event.billing)
    assert len(paid_from.source) <= 60
    for told in (paid_from.before, paid_from.after):
        assert told is None or abs(told) < MAX_USD


# --- Of whatever a record holds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billing", "found"),
    [
        (None, Funding()),
        (PAID, Funding("wallet", Decimal("12.500000000001"), Decimal("12.250000000001"))),
        # Sent before the names had a meaning.
        ({"funding_source": ["x"], "balance_after": "soon", "balance_before": {}}, Funding()),
        ({"funding_source": "x" * 61, "balance_after": True, "balance_before": "1e99"}, Funding()),
        ({"balance_after": 0.1}, Funding(after=Decimal("0.1"))),
        ({"source": "catalogue", "lines": [], "sent": PAID}, funding_of(PAID)),
        ({"source": "own", "balance_after": "5"}, Funding()),
    ],
)
def test_funding_is_read_of_what_was_sent(billing: dict[str, Any] | None, found: Funding) -> None:
    assert funding_of(billing) == found
    assert bool(found) == (found != Funding())


# --- Shown -------------------------------------------------------------------------------------------------


@pytest.fixture
def told(sender: Sender) -> UsageRecord:
    """A call that a wallet paid, of tokens that its gateway counted."""
    answer = sender.post("/api/v1/usage", {**RECORD, "billing": PAID, "usage_estimated": True})
    assert answer.json()["accepted"] == 1
    return UsageRecord.objects.get()


def page_of(client: Client, record: UsageRecord) -> str:
    return unescape(client.get(reverse("usage-record", args=[record.id])).content.decode())


def listed(client: Client) -> str:
    return unescape(client.get(reverse("usage"), {"range": "all"}).content.decode())


def test_list_receipt_api_and_export_say_the_same(
    alice: User, alice_client: Client, told: UsageRecord, folder: Path
) -> None:
    page = page_of(alice_client, told)
    assert "<dt>Funding source</dt><dd>Wallet</dd>" in page
    assert 'data-balance="12.500000000001">$12.500000000001<' in page
    assert 'data-balance="12.250000000001">$12.250000000001<' in page
    assert f"≈ </span>{SAID}" in page
    row = listed(alice_client)
    assert f'title="1,234 › 56 · {SAID}"' in row and ">estimated </span>1.2k › 56<" in row

    key = personal_tokens.issue(alice, "test", 30)[1]
    api = Client(headers={"Authorization": f"Bearer {key}"})
    [one] = api.get("/api/v1/usage?range=all").json()["data"]
    whole = api.get(f"/api/v1/usage/{told.id}").json()
    columns = ["usage_estimated", *PAID]
    exported = made(alice, columns=columns).path.read_text("utf-8-sig")
    [in_csv] = csv.DictReader(io.StringIO(exported, newline=""))
    in_json = json.loads(made(alice, "jsonl", columns=columns).path.read_text())
    for answer in (one, whole, in_csv, in_json):
        assert {name: answer[name] for name in PAID} == PAID
        assert answer["usage_estimated"] in (True, "true")


def test_the_admin_says_it_too(admin: User, told: UsageRecord) -> None:
    client = signed_in(admin)
    page = unescape(client.get(reverse("admin:logs_usagerecord_change", args=[told.id])).content.decode())
    assert "<dd>Wallet</dd>" in page and "$12.250000000001" in page and SAID in page
    rows = unescape(client.get(reverse("admin:logs_usagerecord_changelist"), {"q": "r1"}).content.decode())
    assert f'title="1,234 → 56 · {SAID}"' in rows


def test_a_session_s_timeline_marks_estimated_tokens(alice_client: Client, gateway: Gateway) -> None:
    at = just_now()
    for minutes, estimated in ((2, True), (1, None)):
        store(
            gateway,
            event(
                created_at=at - timedelta(minutes=minutes),
                usage_estimated=estimated,
                metadata={"session_id": "s1"},
            ),
        )
    page = unescape(alice_client.get("/records/usage/session/?session=s1").content.decode())
    assert page.count("≈") == page.count(SAID) == 1 and page.count("100 › 20</") == 2


def test_estimated_calls_are_found(
    alice: User, alice_client: Client, told: UsageRecord, gateway: Gateway, folder: Path
) -> None:
    store(gateway, event(request_id="reported", minutes=5))
    answer = alice_client.get(reverse("usage"), {"range": "all", "estimated": "on"})
    page = unescape(answer.content.decode())
    assert [row.request_id for row in answer.context["rows"]] == ["r1"]
    assert "Estimated by the gateway" in page and "reported</td>" not in page
    key = personal_tokens.issue(alice, "test", 30)[1]
    api = Client(headers={"Authorization": f"Bearer {key}"})
    data = api.get("/api/v1/usage?range=all&estimated=on").json()["data"]
    assert [one["request_id"] for one in data] == ["r1"]
    assert made(alice, query="range=all&estimated=on", columns=["request_id"]).rows == 1
    assert len(alice_client.get(reverse("usage"), {"range": "all"}).context["rows"]) == 2


def test_the_support_note_says_that_tokens_were_estimated(alice_client: Client, told: UsageRecord) -> None:
    assert f"Tokens: 1,234 › 56 ({SAID})" in page_of(alice_client, told)


def test_what_nobody_told_is_not_shown(alice: User, alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(cost=Decimal("0.1"), billing={"group_ratio": "1"}))
    page = page_of(alice_client, UsageRecord.objects.get())
    for words in ("Funding source", "Balance before", "Balance after", SAID):
        assert words not in page
    assert "≈" not in listed(alice_client)
    key = personal_tokens.issue(alice, "test", 30)[1]
    api = Client(headers={"Authorization": f"Bearer {key}"})
    [one] = api.get("/api/v1/usage?range=all").json()["data"]
    assert one["usage_estimated"] is False
    assert one["funding_source"] is one["balance_before"] is one["balance_after"] is None


def test_nothing_left_is_a_balance_and_less_is_one_too(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(cost=Decimal(1), billing={"balance_before": "0", "balance_after": "-1"}))
    page = page_of(alice_client, UsageRecord.objects.get())
    assert 'data-balance="0">$0.00<' in page and 'data-balance="-1">-$1.00<' in page
    assert "Funding source" not in page


def test_a_call_that_is_priced_here_says_what_paid(alice_client: Client, sender: Sender) -> None:
    sent = {**RECORD, "provider": "openai", "billing": {"funding_source": "Team <b>pool</b>"}}
    del sent["cost"]
    sender.post("/api/v1/usage", sent)
    record = UsageRecord.objects.get()
    assert record.billing and record.billing["source"] == "catalogue"
    content = alice_client.get(reverse("usage-record", args=[record.id])).content.decode()
    assert "<dd>Team &lt;b&gt;pool&lt;/b&gt;</dd>" in content


def test_an_unpriced_call_says_what_paid(alice_client: Client, sender: Sender) -> None:
    sent = {**RECORD, "model": "nobody-knows-1", "billing": PAID}
    del sent["cost"]
    sender.post("/api/v1/usage", sent)
    record = UsageRecord.objects.get()
    assert record.cost is None
    assert "$12.250000000001" in page_of(alice_client, record)


def test_a_stranger_sees_none_of_it(charlie: User, told: UsageRecord, folder: Path) -> None:
    client = signed_in(charlie)
    for name in ("usage-record", "usage-record-details"):
        answer = client.get(reverse(name, args=[told.id]))
        assert answer.status_code == 404 and "12.25" not in answer.content.decode()
    assert "≈" not in listed(client)
    assert made(charlie, columns=[*PAID]).rows == 0


def test_a_secret_in_a_source_is_kept_nowhere(alice_client: Client, sender: Sender) -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwx1234567890"
    sender.post("/api/v1/usage", {**RECORD, "billing": {"funding_source": secret}})
    record = UsageRecord.objects.get()
    assert secret not in json.dumps(record.billing)
    assert secret not in page_of(alice_client, record)


@pytest.mark.django_db
def test_the_column_is_added_without_writing_a_row_anew() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), bool_or(atthasdef), bool_or(atthasmissing) FROM pg_attribute"
            " WHERE attname = 'usage_estimated' AND attrelid IN"
            " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'usage_record'::regclass)"
        )
        partitions, has_default, has_missing = cursor.fetchone()
    assert partitions and not has_default and not has_missing
