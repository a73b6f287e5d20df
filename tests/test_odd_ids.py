"""Whatever is accepted as an ID is found by it: pasted, by its link, over the API, in the admin."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from logs.ingest.formats import native
from logs.models import UsageRecord
from routescope.data.ids import derived_id
from routescope.data.scopes import Scope
from routescope.text import identifiers
from routescope.text.identifiers import shown
from tests import everything
from tests.cast import signed_in
from tests.sending import Sender, sender

__all__ = ["sender"]

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
LONG = "resp_" + "CNBe20Wq4wVemYYXvudzkiGbWh1zD26PUOO3e6Y" * 12 + "=="
IDS = {
    "a space": "a b",
    "angle brackets": "<id 1>",
    "brackets and quotes": '(quoted)"id"',
    "an apostrophe": "it's one",
    "percent": "100%25 done%",
    "slashes": "a/b//c/../d/",
    "dots": "..",
    "a question": "what?id=1&x=2#here",
    "a backslash": r"C:\ids\1",
    "another script": "запрос-№1",
    "look-alikes": "rеq_1",
    "an emoji": "🧵-1",
    "joined": "👩‍💻",
    "an address": "https://gateway.example/v1/calls/77?x=1",
    "an e-mail address": "alice+1@example.com",
    "a label": "request_id: 12345678",
    "a key": "sk-proj-abcdefghijklmnopqrstuvwx1234",
    "dotted": "abc…def",
    "short": "7",
    "477 characters": LONG[:477],
    "2,300 characters": (LONG * 5)[:2300],
    "3,000 characters": (LONG * 7)[:3000],
    "long in another script": "長" * 900,
}
CLEANED = {
    "a line break": "a\r\nSet-Cookie: x=1",
    "a tab": "a\tb",
    "NUL": "a\u0000b",
    "escape": "\u001b[31mred",
    "C1": "a\u0085b",
    "a line separator": "a\u2028b",
    "DEL": "a\u007fb",
}


def record(request_id: str, **more: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "created_at": AT.isoformat(),
        "user": "alice@example.com",
        "token": "prod",
        "model": "gpt-5-mini",
        "cost": "0.001",
        **more,
    }


@pytest.mark.parametrize("request_id", IDS.values(), ids=IDS)
def test_an_id_is_kept_and_found(sender: Sender, alice: User, admin: User, request_id: str) -> None:
    answer = sender.post("/api/v1/usage", [record(request_id), record("a-neighbour")])
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    stored = UsageRecord.objects.exclude(request_id="a-neighbour").get()
    if request_id == IDS["a key"]:
        assert stored.request_id.startswith("redacted-") and request_id not in stored.request_id
    elif len(request_id.encode()) <= identifiers.MAX_BYTES:
        assert stored.request_id == request_id
    everything.found(alice, admin, request_id, stored)
    everything.found(alice, admin, stored.request_id, stored)
    everything.opened(signed_in(alice), f"/records/usage/{stored.pk}/")
    again = sender.post("/api/v1/usage", [record(request_id)])
    assert again.json()["duplicates"] == 1


@pytest.mark.parametrize("request_id", CLEANED.values(), ids=CLEANED)
def test_an_id_that_cannot_be_shown_is_cleaned_and_costs_nothing(
    sender: Sender, alice: User, admin: User, request_id: str, settings: Any, tmp_path: Any
) -> None:
    settings.EXPORTS_DIR = tmp_path
    answer = sender.post("/api/v1/usage", [record(request_id), record("a-neighbour")])
    assert answer.json()["accepted"] == 2
    stored = UsageRecord.objects.exclude(request_id="a-neighbour").get()
    assert stored.request_id.isprintable()
    everything.found(alice, admin, stored.request_id, stored)
    everything.read_all(alice, admin)
    assert sender.post("/api/v1/usage", [record(request_id)]).json()["duplicates"] == 1


def test_ids_that_differ_only_in_what_is_cleaned_or_cut_are_two(sender: Sender, alice: User) -> None:
    long = LONG * 20
    for one, other in (("a\nb", "a\tb"), (long + "1", long + "2"), (" x", "x")):
        UsageRecord.objects.all().delete()
        answer = sender.post("/api/v1/usage", [record(one), record(other)])
        assert answer.json()["accepted"] == 2, (one[:20], other[:20])


@pytest.mark.parametrize("name", ["upstream_request_id", "task_id"])
@pytest.mark.parametrize("value", [*IDS.values(), *CLEANED.values()], ids=[*IDS, *CLEANED])
def test_further_ids_are_under_the_same_rule(sender: Sender, alice: User, name: str, value: str) -> None:
    assert sender.post("/api/v1/usage", [record("req_1", **{name: value})]).json()["accepted"] == 1
    stored = UsageRecord.objects.get()
    assert getattr(stored, name) == identifiers.kept(value)
    client = signed_in(alice)
    everything.opened(client, f"/records/usage/{stored.pk}/")
    if name == "upstream_request_id":
        assert list(UsageRecord.objects.visible_to(Scope.own(alice)).identified_by(value)) == [stored]


@pytest.mark.parametrize("request_id", ["", " ", "\n\t"])
def test_an_id_of_nothing_is_refused_alone(sender: Sender, alice: User, request_id: str) -> None:
    answer = sender.post("/api/v1/usage", [record(request_id), record("fine")])
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["error"] == "request_id: empty"


def test_records_of_before_stay_the_same_records() -> None:
    """What a record is known by when it is sent again is the ID as it came: cleaned or not."""
    at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    for request_id in ("req_1", "a\r\nb", " a", "<id 1>"):
        body = json.dumps({"request_id": request_id, "created_at": at.isoformat()}).encode()
        [(_, event)] = native.decode(body).events
        assert derived_id(at, 1, event.identity or event.request_id, 1) == derived_id(at, 1, request_id, 1)


def test_the_rule_changes_nothing_the_second_time() -> None:
    for text in [*IDS.values(), *CLEANED.values(), "\ud800", "x" * 10_000, "é" * 2_000]:
        once = identifiers.kept(text)
        assert identifiers.kept(once) == once
        assert len(once.encode()) <= identifiers.MAX_BYTES
        assert once.isprintable() or "\u200d" in once


@pytest.mark.parametrize(
    "typed",
    [
        "café",
        "cafe\u0301",
        "caf\u200bé",
        "\ufeffcafé",
        "café\u200d",
        "caf\u00adé",
        "cafe\u200b\u0301",
        "ca\u202efé",
    ],
)
def test_names_that_look_the_same_are_one(typed: str) -> None:
    assert shown(typed) == "café"


@pytest.mark.parametrize("name", ["می\u200cخواهم", "👨\u200d👩\u200d👧", "क्\u200dष", "❤\ufe0f"])
def test_what_joins_letters_stays(name: str) -> None:
    assert shown(name) == name


@given(st.text())
def test_a_name_that_was_cleaned_is_clean_however_it_was_composed(text: str) -> None:
    assert shown(shown(text)) == shown(text)
    assert shown(unicodedata.normalize("NFC", text)) == shown(unicodedata.normalize("NFD", text))
