"""POST /api/v1/usage."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import Gateway, IngestKey
from logs.ingest import batches
from logs.models import UsageHour, UsageRecord
from routescope.wire import bodies

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

pytestmark = pytest.mark.django_db

RECORD = {"request_id": "req_1", "created_at": "2026-03-10T12:00:00Z", "user": "u", "model": "m"}


def post(key: str | None, body: Any, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return Client(enforce_csrf_checks=True).post(
        "/api/v1/usage", data, content_type="application/json", headers=headers
    )


def test_records_are_stored_and_counted_in_the_answer(ingest_key: str) -> None:
    answer = post(ingest_key, [RECORD, {**RECORD, "request_id": "req_2"}, {"request_id": "req_3"}])
    assert answer.status_code == 200
    assert json.loads(answer.content) == {
        "accepted": 2,
        "duplicates": 0,
        "rejected": [
            {"index": 2, "request_id": "req_3", "error": "object missing required field `created_at`"}
        ],
    }
    assert json.loads(post(ingest_key, RECORD).content)["duplicates"] == 1


@pytest.mark.parametrize("key", [None, "", "rsk_wrong"])
def test_a_missing_or_unknown_key_is_refused(ingest_key: str, key: str | None) -> None:
    answer = post(key, RECORD)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert not UsageRecord.objects.exists()


def test_a_revoked_key_and_an_inactive_gateway_are_refused(gateway: Gateway, ingest_key: str) -> None:
    gateway.is_active = False
    gateway.save()
    assert post(ingest_key, RECORD).status_code == 401
    gateway.is_active = True
    gateway.save()
    assert post(ingest_key, RECORD).status_code == 200
    IngestKey.objects.update(revoked_at=timezone.now())
    assert post(ingest_key, RECORD).status_code == 401


def test_a_keys_last_use_is_kept(ingest_key: str) -> None:
    post(ingest_key, RECORD)
    assert IngestKey.objects.get().last_used_at is not None


def test_keys_are_kept_as_hashes_only(ingest_key: str) -> None:
    row = IngestKey.objects.get()
    assert ingest_key not in (row.key_hash, row.hint)
    assert row.key_hash == IngestKey.hash(ingest_key)


def test_gzip_is_understood(ingest_key: str) -> None:
    body = gzip.compress(json.dumps(RECORD).encode())
    assert post(ingest_key, body, **{"Content-Encoding": "gzip"}).status_code == 200


def test_a_gzip_body_that_was_cut_off_stores_nothing(ingest_key: str) -> None:
    lines = b"\n".join(json.dumps({**RECORD, "request_id": f"r{n}"}).encode() for n in range(200))
    answer = post(ingest_key, gzip.compress(lines)[:-20], **{"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "ends early" in json.loads(answer.content)["error"]
    assert not UsageRecord.objects.exists()
    assert not UsageHour.objects.exists()


def test_what_is_no_gzip_is_refused(ingest_key: str) -> None:
    assert post(ingest_key, RECORD, **{"Content-Encoding": "gzip"}).status_code == 400


def test_another_encoding_is_refused(ingest_key: str) -> None:
    assert post(ingest_key, RECORD, **{"Content-Encoding": "zstd"}).status_code == 415


def test_a_body_that_grows_too_large_is_refused_without_holding_it(ingest_key: str) -> None:
    bomb = gzip.compress(b" " * (bodies.MAX_BODY_BYTES + 1))
    assert len(bomb) < 100_000
    assert post(ingest_key, bomb, **{"Content-Encoding": "gzip"}).status_code == 413


def test_too_many_records_are_refused(ingest_key: str) -> None:
    assert post(ingest_key, [RECORD] * 10_001).status_code == 413


@pytest.mark.parametrize("body", [b"", b"nonsense", b"{"])
def test_a_body_that_is_no_batch_is_refused_with_a_sentence(ingest_key: str, body: bytes) -> None:
    answer = post(ingest_key, body)
    assert answer.status_code == 400
    assert json.loads(answer.content)["error"].endswith(".")


def test_a_batch_of_bad_records_only_is_answered_record_by_record(ingest_key: str) -> None:
    answer = post(ingest_key, [{}, {"request_id": 5}])
    assert answer.status_code == 200
    assert [rejection["index"] for rejection in json.loads(answer.content)["rejected"]] == [0, 1]


def test_records_are_posted_and_only_read_with_an_access_token(client: Client) -> None:
    assert client.put("/api/v1/usage").status_code == 405
    assert client.get("/api/v1/usage").status_code == 401


def test_while_the_database_is_away_the_client_is_asked_to_come_back(ingest_key: str) -> None:
    with patch.object(batches, "store", side_effect=OperationalError("gone")):
        answer = post(ingest_key, RECORD)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
