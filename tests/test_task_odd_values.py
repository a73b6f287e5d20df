"""Whatever a gateway may register is listed, opened, found by what was pasted, exported: never a 500."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.access.personal_tokens import issue
from accounts.exports import exporting, jobs
from accounts.models import Export, Gateway, User
from routescope.text.identifiers import kept
from tasks.models import AsyncTask, TaskStatus
from tests import task_cast as cast
from tests.cast import signed_in

ODD = [
    "with a space",
    "[in brackets] {and braces}",
    'it\'s "quoted"',
    "a/b/../c//d",
    "?task_id=x&y=#z",
    "模型-任务-1",
    "%2e%2e%00",
    "<script>alert(1)</script>",
    "trailing.",
    "(round),;",
    "🎬-\u202e-rtl",
    "=cmd|' /C calc'!A0",
    "x" * 255,
    "模" * 800,
    "resp_" + "bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVy" * 69,
    "00000000-0000-0000-0000-000000000000",
    "null",
    "\ufffd",
    "a\u00a0b",
]
BAD = ["", "x" * 2_501, "模" * 834, "nul\x00", "line\nfeed", "bell\x07", "\x7f", "c1\x85"]


@pytest.fixture
def sender(gateway: Gateway) -> dict[str, str]:
    return cast.key(gateway)


def body(task_id: str, number: int, **fields: Any) -> dict[str, Any]:
    moment = timezone.now() - timedelta(minutes=5, seconds=number)
    return {"task_id": task_id, "created_at": moment.isoformat(), "user": "alice@example.com", **fields}


def send(client: Client, sender: dict[str, str], tasks: list[dict[str, Any]]) -> dict[str, Any]:
    answer = client.post("/api/v1/tasks", json.dumps(tasks), "application/json", headers=sender)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


@pytest.mark.parametrize("task_id", ODD)
def test_an_odd_id_that_is_taken_is_found_by_pasting_it_and_can_be_reported_on(
    client: Client, alice: User, sender: dict[str, str], task_id: str
) -> None:
    other = {"provider_task_id": task_id, "request_id": task_id}
    assert send(client, sender, [body(task_id, 1, **other)])["rejected"] == []
    reported = client.patch(
        f"/api/v1/tasks/{quote(task_id, safe='')}",
        b'{"status": "running"}',
        "application/json",
        headers=sender,
    )
    if ".." not in task_id:  # A path of that kind is no path to some servers: PATCH /api/v1/tasks serves.
        assert reported.status_code == 200, reported.content
    row = AsyncTask.objects.get()
    mine = signed_in(alice)
    assert mine.get("/records/tasks/?range=all").status_code == 200
    for pasted in (task_id, f"  {task_id}\n", f'"{task_id}"'):
        found = mine.get(f"/records/tasks/?{urlencode({'task_id': pasted})}")
        assert found.status_code == 200, (pasted, found.status_code)
        assert str(row.pk) in found.content.decode(), pasted
        assert mine.get(f"/records/tasks/results/?{urlencode({'task_id': pasted})}").status_code == 200
    for page in ("", "row/", "details/", "media/"):
        assert mine.get(f"/records/tasks/{row.pk}/{page}").status_code == 200


def test_an_odd_id_is_found_by_admins_and_over_the_read_api(
    client: Client, alice: User, admin: User, sender: dict[str, str]
) -> None:
    send(client, sender, [body(task_id, number) for number, task_id in enumerate(ODD)])
    _, token = issue(alice, "reader", 30)
    bearer = {"Authorization": f"Bearer {token}"}
    listed = client.get("/api/v1/tasks?range=all&limit=100", headers=bearer).json()["data"]
    assert {row["task_id"] for row in listed} == {kept(task_id) for task_id in ODD}
    office = signed_in(admin)
    for task_id in ODD:
        found = client.get(f"/api/v1/tasks?{urlencode({'task_id': task_id})}", headers=bearer)
        assert [row["task_id"] for row in found.json()["data"]] == [kept(task_id)]
        page = office.get(f"/admin/tasks/asynctask/?{urlencode({'q': task_id})}")
        assert page.status_code == 200
        assert str(AsyncTask.objects.get(task_id=kept(task_id)).pk) in page.content.decode(), task_id


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "xlsx"])
def test_odd_ids_and_texts_are_exported(
    client: Client,
    alice: User,
    sender: dict[str, str],
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    settings.EXPORTS_DIR = tmp_path
    monkeypatch.setattr(jobs, "hand_over", lambda pk: True)
    send(
        client,
        sender,
        [
            body(
                task_id,
                number,
                status="failed",
                model=f"odd {number} \x01\x1f\ufffe",
                error={"code": "\x02", "message": f"it broke\x0b\x1b[31m \ud83d\ude00 {task_id}"},
                result={"text\x01": ["\x02", 1e308, -0.0]},
            )
            for number, task_id in enumerate(ODD)
        ],
    )
    columns = ["task_id", "request_id", "model", "failure_code", "failure_message", "result"]
    export = exporting.ask(alice, "tasks", form, columns, QueryDict("range=all"), gzipped=False)
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE, export.problem
    assert export.rows == len(ODD)


@pytest.mark.parametrize("field", ["task_id", "provider_task_id", "request_id"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_id_is_refused_by_name_and_costs_no_neighbour(
    client: Client, alice: User, sender: dict[str, str], field: str, bad: str
) -> None:
    odd = {**body("other", 1), field: bad}
    answer = send(client, sender, [body("before", 0), odd, body("after", 2)])
    if answer["rejected"]:
        assert [one["index"] for one in answer["rejected"]] == [1]
        assert field in answer["rejected"][0]["error"]
    assert set(AsyncTask.objects.values_list("task_id", flat=True)) >= {"before", "after"}
    assert signed_in(alice).get("/records/tasks/?range=all").status_code == 200


@pytest.mark.parametrize("url", ["https://[", "http://[::1", "https://x:port/", "https://\u2100.example/"])
def test_a_result_with_a_url_that_is_none_is_shown(
    client: Client, alice: User, sender: dict[str, str], url: str
) -> None:
    send(client, sender, [body("t", 1, status="succeeded", result={"url": url})])
    row = AsyncTask.objects.get()
    assert row.status == TaskStatus.SUCCEEDED
    # As it may stand in rows of before.
    AsyncTask.objects.update(result=[{"kind": "image", "url": url}])
    mine = signed_in(alice)
    for page in ("", "row/", "details/", "media/"):
        assert mine.get(f"/records/tasks/{row.pk}/{page}").status_code == 200


@pytest.mark.parametrize(
    "query", ["task_id=%00", "task_id=%ff", "task_id=" + "x" * 5000, "platform=%00&model=%00"]
)
def test_an_odd_search_is_an_answer(alice: User, query: str) -> None:
    mine = signed_in(alice)
    assert mine.get(f"/records/tasks/?{query}").status_code in (200, 404)
    assert mine.get(f"/records/tasks/results/?{query}").status_code in (200, 404)
