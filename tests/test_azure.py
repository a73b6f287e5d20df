"""Two hours of real traffic, taken in in every way, end with the figures that the files themselves give.

The traces (AzurePublicDataset, LLM inference 2023, CC-BY 4.0) stand beside the checkout, not in it.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import ApiToken, Gateway, IngestKey, User
from logs.rollups.own_sums import totals
from logs.selection.chosen import Selection
from routescope.data.ranges import TimeRange
from routescope.data.scopes import Scope

TRACES = Path(django_settings.BASE_DIR).parent / "shared" / "data" / "azure-llm-2023"
EMAIL = "azure@example.com"
HOURS = TimeRange(datetime(2023, 11, 16, 18, tzinfo=UTC), datetime(2023, 11, 16, 20, tzinfo=UTC))
BATCH = 1_000

pytestmark = pytest.mark.skipif(not TRACES.is_dir(), reason=f"The Azure traces are not at {TRACES}.")


class Figures(NamedTuple):
    requests: int
    input_tokens: int
    output_tokens: int


EXPECTED = {"conv": Figures(19_366, 22_361_870, 4_088_665), "code": Figures(8_819, 18_059_974, 245_896)}
BOTH = Figures(*map(sum, zip(*EXPECTED.values(), strict=True)))


@pytest.fixture(autouse=True)
def long_retention(settings: Settings) -> None:
    """The traces are years old."""
    settings.RECORD_RETENTION_MONTHS = 1_200


@pytest.fixture
def send(ingest_key: str) -> Callable[[bytes], tuple[int, dict[str, object]]]:
    """Post a body, gzipped already, with a client of its own; return the status and the answer."""

    def post(body: bytes) -> tuple[int, dict[str, object]]:
        answer = Client().post(
            "/api/v1/usage",
            body,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {ingest_key}", "Content-Encoding": "gzip"},
        )
        return answer.status_code, json.loads(answer.content)

    return post


def trace(token: str) -> Path:
    return TRACES / f"AzureLLMInferenceTrace_{token}.csv"


def lines(token: str) -> Iterator[str]:
    """The records of a trace as a gateway would send them, one JSON object each."""
    with trace(token).open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            yield json.dumps(
                {
                    "request_id": f"{token}-{number}",
                    "created_at": f"{row['TIMESTAMP'].replace(' ', 'T')}Z",
                    "user": EMAIL,
                    "token": token,
                    "model": "gpt-4",
                    "input_tokens": int(row["ContextTokens"]),
                    "output_tokens": int(row["GeneratedTokens"]),
                }
            )


def batches(token: str, start: int = 0) -> Iterator[list[str]]:
    """A trace in batches of 1,000 records, the first of them shorter by ``start``."""
    records = list(lines(token))
    edges = [0, *range(BATCH - start, len(records), BATCH), len(records)]
    for first, last in itertools.pairwise(edges):
        yield records[first:last]


def packed(records: list[str]) -> bytes:
    return gzip.compress("\n".join(records).encode(), compresslevel=1)


def shown(*tokens: str) -> Figures:
    """What the header says under a filter by tokens, over the two hours of the traces."""
    user = User.objects.get(email=EMAIL)
    chosen = ApiToken.objects.filter(owner=user, name__in=tokens).values_list("pk", flat=True)
    sums = totals(Scope.own(user), Selection(HOURS, tokens=tuple(chosen)))
    assert sums.errors == 0
    return Figures(sums.requests, sums.input_tokens, sums.output_tokens)


def listed(*tokens: str) -> Figures:
    """What adding up the records themselves gives."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), sum(input_tokens), sum(output_tokens) FROM usage_record AS record"
            " JOIN accounts_apitoken AS token ON token.id = record.token_id"
            " JOIN accounts_user AS owner ON owner.id = record.user_id"
            " WHERE owner.email = %s AND token.name = ANY(%s)"
            " AND record.created_at >= %s AND record.created_at < %s",
            [EMAIL, list(tokens), HOURS.start, HOURS.end],
        )
        return Figures(*cursor.fetchone())


def assert_figures() -> None:
    for token, figures in EXPECTED.items():
        assert shown(token) == listed(token) == figures
    assert shown(*EXPECTED) == listed(*EXPECTED) == BOTH


@pytest.mark.django_db
def test_loaded_from_the_files_once_or_twice() -> None:
    for accepted in (True, False):
        for token, figures in EXPECTED.items():
            out = StringIO()
            call_command("load_trace", str(trace(token)), user=EMAIL, token=token, model="gpt-4", stdout=out)
            new, known = (figures.requests, 0) if accepted else (0, figures.requests)
            assert f"{new:,} accepted, {known:,} duplicates, 0 rejected" in out.getvalue()
        assert_figures()


@pytest.mark.django_db
def test_sent_over_http_in_gzipped_batches(send: Callable[[bytes], tuple[int, dict[str, object]]]) -> None:
    for token in EXPECTED:
        for batch in batches(token):
            assert send(packed(batch)) == (200, {"accepted": len(batch), "duplicates": 0, "rejected": []})
    assert_figures()


@pytest.mark.django_db
def test_a_broken_record_is_named_and_costs_no_other(
    send: Callable[[bytes], tuple[int, dict[str, object]]],
) -> None:
    batch = next(batches("code"))
    whole = batch[500]
    batch[500] = whole.replace('"input_tokens": ', '"input_tokens": -')
    assert send(packed(batch)) == (
        200,
        {
            "accepted": 999,
            "duplicates": 0,
            "rejected": [
                {"index": 500, "request_id": "code-500", "error": "input_tokens: expected `int` >= 0"}
            ],
        },
    )
    assert listed("code").requests == shown("code").requests == 999
    batch[500] = whole
    assert send(packed(batch)) == (200, {"accepted": 1, "duplicates": 999, "rejected": []})
    assert shown("code") == listed("code")


@pytest.mark.django_db
def test_a_batch_cut_off_in_transit_stores_nothing(
    send: Callable[[bytes], tuple[int, dict[str, object]]],
) -> None:
    body = packed(next(batches("code")))
    for length in (len(body) - 1, len(body) // 2, 11):
        status, answer = send(body[:length])
        assert status == 400, answer
    assert not User.objects.filter(email=EMAIL).exists()
    assert send(body)[1] == {"accepted": BATCH, "duplicates": 0, "rejected": []}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_clients_sending_overlapping_batches_at_once(
    send: Callable[[bytes], tuple[int, dict[str, object]]], gateway: Gateway
) -> None:
    """Each sends everything, its batches cut at other places, so that no two batches are alike."""

    def send_all(start: int) -> list[dict[str, object]]:
        try:
            answers = []
            for token in EXPECTED if start else reversed(EXPECTED):
                for batch in batches(token, start):
                    status, answer = send(packed(batch))
                    assert status == 200, answer
                    answers.append(answer)
            return answers
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        answers = [answer for sent in pool.map(send_all, (0, 333)) for answer in sent]
    accepted = sum(int(str(answer["accepted"])) for answer in answers)
    duplicates = sum(int(str(answer["duplicates"])) for answer in answers)
    assert accepted == duplicates == BOTH.requests
    assert all(answer["rejected"] == [] for answer in answers)
    assert IngestKey.objects.get().gateway == gateway
    assert User.objects.filter(email=EMAIL).count() == 1
    assert_figures()
