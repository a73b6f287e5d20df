"""Exports on their page: asked for, downloaded by their owner alone, and cleaned up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.exports import exporting, jobs
from accounts.models import AuditEntry, Export, Gateway, User
from logs.models import CALLS, Status, UsageRecord
from logs.rollups import percentiles
from logs.rollups.sketches import ERROR, Measure
from logs.selection import lookback
from tests.cast import event, signed_in, store
from tests.export_cast import folder, made, many
from tests.test_percentiles import value as measured

__all__ = ["folder", "many"]
RANKS = ("p50", "p95", "p99")


def test_the_form_asks_for_what_the_page_lists_and_the_audit_says_so(many: User) -> None:
    client = signed_in(many)
    page = client.get("/records/usage/?range=all&model=m1").content.decode()
    assert 'href="/exports/new/?source=usage&amp;range=all&amp;model=m1"' in page
    fragment = client.get("/records/usage/results/?range=all&model=m2", headers={"HX-Request": "true"})
    assert 'hx-swap-oob="true"' in fragment.content.decode()
    url = "/exports/new/?" + urlencode({"source": "usage", "range": "all", "model": "m1"})
    assert "rows," in client.get(url).content.decode()
    answer = client.post(url, {"format": "csv", "columns": ["cost", "created_at"]})
    assert answer.headers["Location"] == "/exports/"
    export = Export.objects.get()
    assert export.columns == ["created_at", "cost"]
    entry = AuditEntry.objects.get(act="export")
    assert (entry.actor, str(export.pk) in entry.object) == (many, True)
    assert client.post(url, {"format": "doc"}).status_code == 422
    assert 'hx-trigger="every 2s"' in client.get("/exports/").content.decode()


def test_a_download_is_the_owners_alone(many: User, charlie: User, client: Client) -> None:
    export = made(many)
    owner = signed_in(many)
    answer = owner.get(f"/exports/{export.pk}/download/")
    link = answer.headers["Location"]
    assert b"".join(owner.get(link).streaming_content) == export.path.read_bytes()  # type: ignore[attr-defined]
    assert client.get(link).status_code == 200, "the address alone is enough, for a few minutes"
    stranger = signed_in(charlie)
    assert stranger.get(link).status_code == 404
    for name in ("download/", "manifest.json"):
        assert stranger.get(f"/exports/{export.pk}/{name}").status_code == 404
    for name in ("cancel/", "delete/"):
        assert stranger.post(f"/exports/{export.pk}/{name}").status_code == 404
    assert client.get(link[:-3] + "xx/").status_code == 404
    assert str(export.pk) not in stranger.get("/exports/results/").content.decode()


def test_a_link_ends_after_minutes(many: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = exporting.signed(made(many))
    monkeypatch.setattr(exporting, "LINK_SECONDS", -1)
    assert client.get(f"/exports/file/{signature}/").status_code == 404


def test_downloads_go_on_where_they_stopped(many: User, client: Client) -> None:
    export = made(many)
    body = export.path.read_bytes()
    link = f"/exports/file/{exporting.signed(export)}/"

    def ask(value: str, **more: str) -> Any:
        return client.get(link, headers={"Range": value, "Accept-Encoding": "gzip", **more})

    for value, expected in (
        ("bytes=0-9", body[:10]),
        ("bytes=100-", body[100:]),
        ("bytes=-7", body[-7:]),
        (f"bytes=5-{10**9}", body[5:]),
    ):
        answer = ask(value)
        assert answer.status_code == 206
        assert b"".join(answer.streaming_content) == expected
        assert int(answer["Content-Length"]) == len(expected)
    etag = ask("bytes=0-0")["ETag"]
    assert ask("bytes=0-0", **{"If-Range": etag}).status_code == 206
    assert ask("bytes=0-0", **{"If-Range": '"other"'}).status_code == 200
    assert ask("bytes=0-1,3-4").status_code == 200
    assert ask(f"bytes={len(body)}-").status_code == 416


def test_the_manifest_says_what_the_file_is(many: User) -> None:
    export = made(many, query="range=all&status=error")
    told = signed_in(many).get(f"/exports/{export.pk}/manifest.json").json()
    assert told["filters"] == {"range": ["all"], "status": ["error"]}
    assert told["sha256"] == hashlib.sha256(export.path.read_bytes()).hexdigest()
    assert told["header"] == {"rows": told["rows"], "cost_usd": told["cost_usd"]}
    assert told["agrees_with_header"] is True


def test_the_manifest_says_how_long_the_calls_took(many: User, gateway: Gateway) -> None:
    client = signed_in(many)
    queries = ("range=all", "range=all&model=m1", "range=all&cost_min=0.0005", "range=all&token=nobody")
    for query in queries:
        export = made(many, query=query, columns=["cost"])
        told = client.get(f"/exports/{export.pk}/manifest.json").json()["percentiles"]
        header = client.get(f"/records/usage/?{query}").context["latency"]
        for name, shown in (("duration_ms", header.duration), ("ttft_ms", header.ttft)):
            figures = shown and {"calls": shown.count, **{of: round(getattr(shown, of)) for of in RANKS}}
            assert told[name] == figures, (query, name)
        records = UsageRecord.objects.filter(CALLS, user=many)
        assert query != "range=all" or _agree(told, records)
    assert told == dict.fromkeys(told), "nobody's token made no call"


@pytest.mark.parametrize("query", ["errors=each", "errors=gathered", "errors=each&status=success"])
def test_an_export_of_the_errors_holds_errors_alone(many: User, query: str) -> None:
    client = signed_in(many)
    page = client.get(f"/records/usage/?range=all&{query}")
    failed = page.context["totals"].records
    export = made(many, query=f"range=all&{query}", columns=["cost"])
    assert export.rows == failed == UsageRecord.objects.filter(user=many, status=Status.ERROR).count() > 0
    assert QueryDict(export.query).getlist("status") == ["error"]


def test_of_one_id_the_manifest_is_of_what_it_finds(many: User, gateway: Gateway) -> None:
    calls = [
        event(many, request_id=f"step-{n}", minutes=n, duration_ms=900 * n, ttft_ms=100, output_tokens=7)
        for n in range(1, 4)
    ]
    store(gateway, *calls)
    export = made(many, query="request_id=step-2", columns=["cost"])
    told = exporting.manifest(export)["percentiles"]
    assert _agree(told, UsageRecord.objects.filter(request_id="step-2"))
    assert told["duration_ms"]["calls"] == 1  # type: ignore[index]


def test_what_takes_too_much_to_read_has_no_percentiles(many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(percentiles, "MOST_RECORDS", 5)
    export = made(many, columns=["cost"])
    assert export.agrees
    assert exporting.manifest(export)["percentiles"] is None
    # With bounds it is looked for step by step, as far as there is anything.
    monkeypatch.setattr(lookback, "MOST_RECORDS", 7)
    export = made(many, query="range=all&cost_min=0.0005", columns=["cost"])
    records = UsageRecord.objects.filter(CALLS, user=many, cost__gte="0.0005")
    assert records.count() > 14
    assert _agree(exporting.manifest(export)["percentiles"], records)


def _agree(told: Any, records: Iterable[UsageRecord]) -> bool:
    """Hold a manifest's percentiles to the records themselves."""
    names = ("duration_ms", "ttft_ms", "output_tokens_per_second")
    for measure, name in zip(Measure, names, strict=True):
        values = sorted(one for record in records if (one := measured(record, measure)) is not None)
        assert (told[name]["calls"] if told[name] else 0) == len(values)
        for rank in (50, 95, 99) if values else ():
            exact = values[-(-len(values) * rank // 100) - 1]
            assert abs(told[name][f"p{rank}"] - exact) <= exact * ERROR + 0.51, (measure, rank)
    return True


def test_the_page_says_how_far_an_export_is_and_that_its_file_is_made(many: User) -> None:
    export = exporting.ask(many, "usage", "xlsx", ["cost"], QueryDict("range=all"), gzipped=False)
    running = Export.objects.filter(pk=export.pk)
    client = signed_in(many)
    for rows, said in (
        (0, "0 of 1,200 rows"),
        (700, "700 of 1,200 rows"),
        (1_200, "1,200 rows read, creating the file"),
    ):
        running.update(status="running", rows=rows, expected_rows=1_200)
        assert said in client.get("/exports/").content.decode()


def test_what_has_expired_is_cleaned_up(many: User) -> None:
    export, kept = made(many), made(many)
    Export.objects.filter(pk=export.pk).update(expires_at=timezone.now())
    assert exporting.tidy() == 1
    assert not export.folder.exists()
    assert list(Export.objects.values_list("pk", flat=True)) == [kept.pk]


def test_while_the_queue_is_away_the_export_waits_and_the_page_says_so(
    many: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    def away(*_: object, **__: object) -> None:
        raise BrokerError("gone")

    monkeypatch.setattr(jobs.run_export, "apply_async", away)
    form = {"format": "csv", "columns": ["cost"]}
    page = signed_in(many).post("/exports/new/?source=usage", form, follow=True).content.decode()
    assert "The queue cannot be reached" in page
    assert "Waiting for a worker" in page
    assert len(exporting.waiting()) == 1
    assert jobs.dispatch() == 0


def test_a_person_has_a_bounded_number_under_way(many: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_OPEN", 1)
    client = signed_in(many)
    statuses = [
        client.post("/exports/new/?source=usage", {"format": "csv", "columns": ["cost"]}).status_code
        for _ in range(2)
    ]
    assert statuses == [302, 422]
