"""IDs as they are shown or in part, and the short paths to records and tasks."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Gateway, User
from logs.listing import own_records
from routescope.text import pasted
from tests import task_cast
from tests.cast import event, store

pytestmark = pytest.mark.django_db

PAGE = "/records/usage/"
DAY = {"start": "2026-03-10T00:00", "end": "2026-03-11T00:00"}
WHOLE = "req_8f3a5b7c9d1e2f4a6b8c0d2e4f6a8b21"


@pytest.fixture
def records(gateway: Gateway, alice: User, bob: User) -> None:
    store(
        gateway,
        event(request_id=WHOLE, minutes=0),
        event(request_id="req_77aa5b7c9d1e", minutes=1),
        event(request_id="req_77aa000000ff", minutes=2),
        event("bob@x.org", request_id="req_bb00000000000021", minutes=3),
    )


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    "part", ["req_8f3a…8b21", "req_8f…21", "req_8f...8b21", "req_8f3a5b7c", '"req_8f3a…8b21"']
)
def test_an_id_as_it_is_shown_or_its_beginning_is_found(alice_client: Client, part: str) -> None:
    answer = alice_client.get(PAGE, {**DAY, "request_id": part})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert f'title="{WHOLE}"' in page
    assert "Found by part of its ID" in page
    assert "record-detail" in page


@pytest.mark.usefixtures("records")
def test_of_several_one_chooses(alice_client: Client) -> None:
    answer = alice_client.get(PAGE, {**DAY, "request_id": "req_77aa"})
    page = answer.content.decode()
    assert answer.status_code == 404
    for whole in ("req_77aa5b7c9d1e", "req_77aa000000ff"):
        assert f'href="{PAGE}?request_id={whole}"' in page


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("part", ["req_bb00…0021", "req_bb", "req_8f3a…0000", "req_%…_21", "r…", "…21"])
def test_anothers_and_what_is_like_none_stay_unknown(alice_client: Client, part: str) -> None:
    answer = alice_client.get(PAGE, {**DAY, "request_id": part})
    assert answer.status_code == 404
    assert "req_bb00000000000021" not in answer.content.decode()


@pytest.mark.usefixtures("records")
def test_only_the_newest_of_the_range_are_looked_at(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_records, "MOST_RESEMBLING", 2)
    answer = alice_client.get(PAGE, {**DAY, "request_id": "req_8f3a…8b21"})
    assert answer.status_code == 404
    assert "choose another range" in answer.content.decode()


@pytest.mark.usefixtures("records")
def test_a_short_path_says_why_there_is_nothing(alice_client: Client) -> None:
    known = alice_client.get(f"/r/{WHOLE}")
    assert (known.status_code, known["Location"]) == (302, f"{PAGE}?request_id={WHOLE}")
    strange, anothers = (alice_client.get(f"/r/{one}") for one in ("req_nobodys0", "req_bb00000000000021"))
    assert strange.status_code == anothers.status_code == 404
    pages = [
        answer.content.decode().replace(name, "ID")
        for answer, name in ((strange, "req_nobodys0"), (anothers, "req_bb00000000000021"))
    ]
    assert "No record with this ID" in pages[0]
    assert 'data-reason="account"' in pages[1]


def test_tasks_have_a_short_path(gateway: Gateway, alice: User, bob: User, alice_client: Client) -> None:
    mine = task_cast.a_task(alice, gateway, task_id="video_12/3 4")
    his = task_cast.a_task(bob, gateway, task_id="video_bob")
    assert mine.permalink == "/t/video_12/3%204"
    answer = alice_client.get(mine.permalink)
    assert (answer.status_code, answer["Location"]) == (302, "/records/tasks/?task_id=video_12%2F3+4")
    assert alice_client.get(his.permalink).status_code == 404
    assert alice_client.get("/t/nothing").status_code == 404


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("req_8f…21", ("req_8f", "21")),
        ("req_8f...21", ("req_8f", "21")),
        ("req_8f3a", ("req_8f3a", "")),
        ("r…2", None),
        ("…abcdefgh", None),
        ("", None),
        ("abcdef…x…yz", ("abcdef", "yz")),
    ],
)
def test_how_a_part_begins_and_ends(text: str, ends: tuple[str, str] | None) -> None:
    assert pasted.ends_of(text) == ends
