"""What a call ordered that is counted in no tokens: in the list, in its details, and for support."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import Gateway, User
from logs.models import RecordType
from logs.record.ordered import ordered
from tasks.models import TaskStatus, TaskType
from tests import task_cast
from tests.cast import event, just_now, store

PAGE = "/records/usage/"


def in_list(client: Client, request_id: str) -> str:
    page = client.get(PAGE, {"range": "all"}).content.decode()
    row = next(row for row in page.split('<tr class="record"')[1:] if f'title="{request_id}"' in row)
    cell = re.search(r'<td class="c-tokens">(.*?)</td>', row)
    assert cell
    return re.sub(r"<[^>]+>", "", cell[1])


def submitted(gateway: Gateway, **fields: Any) -> str:
    """Store a submission of an async task; return its request ID."""
    sent = event(
        created_at=just_now(),
        type=RecordType.TASK,
        input_tokens=0,
        output_tokens=0,
        cost=Decimal("0.5"),
        **fields,
    )
    store(gateway, sent)
    return sent.request_id


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_count": 4}, "4 images"),
        ({"quantities": {"video_seconds": 8}}, "8 s video"),
        ({"quantities": {"audio_seconds": 90.5}}, "90.5 s audio"),
        ({"quantities": {"characters": 1200}}, "1,200 characters"),
        ({"image_count": 1, "quantities": {"video_seconds": 5}}, "1 image, 5 s video"),
        ({"billing": {"lines": [{"item": "batch_requests", "quantity": 400}]}}, "400 batch requests"),
    ],
)
def test_a_submission_says_what_was_ordered(
    alice_client: Client, gateway: Gateway, fields: dict[str, Any], words: str
) -> None:
    request_id = submitted(gateway, **fields)
    assert in_list(alice_client, request_id) == words
    details = alice_client.get(PAGE, {"request_id": request_id}).content.decode()
    assert f"<dt>Ordered</dt><dd>{words}</dd>" in details and f"Ordered: {words}" in details
    assert "0 › 0" not in details


def test_where_the_call_does_not_say_it_its_task_does(
    alice: User, alice_client: Client, gateway: Gateway, django_assert_max_num_queries: Any
) -> None:
    request_id = submitted(gateway, task_id="task_film")
    assert in_list(alice_client, request_id) == "0 › 0"
    task = task_cast.a_task(alice, gateway, task_id="task_film", type=TaskType.MUSIC)
    assert in_list(alice_client, request_id) == "Music"
    assert "<dd>Music</dd>" in alice_client.get(PAGE, {"request_id": request_id}).content.decode()
    links = [{"kind": "audio", "url": f"https://cdn.example/{name}.mp3"} for name in "ab"]
    task.status, task.result = TaskStatus.SUCCEEDED, links
    task.save()
    assert in_list(alice_client, request_id) == "2 audio files"


def test_anothers_task_says_nothing(alice_client: Client, bob: User, gateway: Gateway) -> None:
    request_id = submitted(gateway, task_id="task_bob")
    task_cast.a_task(bob, gateway, task_id="task_bob", type=TaskType.MUSIC)
    assert in_list(alice_client, request_id) == "0 › 0"


def test_tokens_stay_tokens(alice_client: Client, gateway: Gateway) -> None:
    chat = event(created_at=just_now(), image_count=1)
    store(gateway, chat)
    assert in_list(alice_client, chat.request_id) == "100 › 20"


@pytest.mark.parametrize(
    ("quantities", "lines"),
    [
        ({"video_seconds": "NaN"}, None),
        ({"video_seconds": True}, None),
        ({"video_seconds": 10**40}, "x"),
        ([1], {"item": "songs"}),
        (None, [None, 3, {"item": "songs"}, {"quantity": 4}, {"item": "songs", "quantity": "many"}]),
        (None, [{"item": "input", "quantity": 100}]),
        ({"pages": 0}, [{"item": "songs", "quantity": 0}]),
    ],
)
def test_odd_counts_say_nothing(quantities: Any, lines: Any) -> None:
    assert ordered(None, quantities, lines) == ""
