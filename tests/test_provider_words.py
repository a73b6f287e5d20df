"""Whatever the provider: its words count in any case, and what failed links nothing that was not made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.models import UNSUCCESSFUL_STATUSES, TaskStatus
from tasks.providers.catalogue import built_in
from tasks.providers.definition import Reading
from tasks.providers.reading import read
from tasks.providers.refusals import refusal_in
from tasks.providers.results import MAX_PIECES, result_told
from tasks.providers.search import ReadingError, find

ANSWERS = Path(__file__).parent / "provider_answers"
CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.title, str.swapcase)


def answers() -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}-{number}")
        for file in sorted(ANSWERS.glob("*.json"))
        for number, case in enumerate(json.loads(file.read_text()))
    ]


def written(value: Any, word: str, how: Callable[[str], str]) -> Any:
    """Return an answer with its word written in another way, wherever that stands as a whole value."""
    if isinstance(value, dict):
        return {name: written(item, word, how) for name, item in value.items()}
    if isinstance(value, list):
        return [written(item, word, how) for item in value]
    return how(value) if value == word else value


@pytest.mark.parametrize(("slug", "case"), answers())
def test_a_word_means_the_same_in_any_case(slug: str, case: dict[str, Any]) -> None:
    definition = built_in()[slug]
    said = {"task_type": definition.types[0], "task_id": "the-id", "base": case.get("base", "")}
    right = read(definition.reading, case["answer"], **said)
    for how in CASES:
        found = read(definition.reading, written(case["answer"], right.word, how), **said)
        assert (found.status, found.result) == (right.status, right.result), how


@pytest.mark.parametrize(("slug", "case"), answers())
def test_a_failed_task_links_nothing_but_what_is_there_despite_the_failure(
    slug: str, case: dict[str, Any]
) -> None:
    """Every answer of a success, with each word that means a failure in the place of its own."""
    definition = built_in()[slug]
    right = read(definition.reading, case["answer"], task_type="video", task_id="the-id", base="https://b")
    if right.status != TaskStatus.SUCCEEDED or not right.result:
        return
    kept = any(piece.despite_failure for piece in definition.reading.results)
    for word, state in definition.reading.words.items():
        if state not in UNSUCCESSFUL_STATUSES:
            continue
        changed = written(case["answer"], right.word, dict.fromkeys([right.word], word).__getitem__)
        found = read(definition.reading, changed, task_type="video", task_id="the-id", base="https://b")
        if found.status in UNSUCCESSFUL_STATUSES and not kept:
            assert not [piece for piece in found.result if "url" in piece or "inside" in piece], word


READING = Reading(status="status", words={"done": TaskStatus.SUCCEEDED, "broken": TaskStatus.FAILED})


@pytest.mark.parametrize("status", [None, *TaskStatus])
def test_what_a_gateway_reports_of_a_failed_task_is_no_link(status: TaskStatus | None) -> None:
    told: list[tuple[Any, str]] = [
        ("https://api.openai.com/v1/videos/video_1/content", "url"),
        ({"videos": [{"bytesBase64Encoded": "AAAA", "mimeType": "video/mp4"}]}, "inside"),
        ({"url": "data:image/png;base64,AAAA"}, "inside"),
        ("It was not made.", "text"),
        ({"seconds": 8}, "data"),
    ]
    for value, kind in told:
        found = result_told(value, status=status, task_type="video", definition=None)
        failed = status in UNSUCCESSFUL_STATUSES and kind in ("url", "inside")
        assert [kind in piece for piece in found] == ([] if failed else [True]), (status, value)


def test_a_gateway_may_name_the_files_of_a_batch_that_failed() -> None:
    link = "https://api.openai.com/v1/files/file-e/content"
    batches = built_in()["openai-batches"]
    told = result_told(link, status=TaskStatus.EXPIRED, task_type="batch", definition=batches)
    assert [piece["url"] for piece in told] == [link]


def test_what_comes_inside_is_told_by_its_size_and_bounded() -> None:
    many = {"b64_json": ["QUJD"] * (MAX_PIECES + 20)}
    told = result_told(many, status=TaskStatus.SUCCEEDED, task_type="image", definition=None)
    assert told == [{"kind": "image", "inside": 3}] * MAX_PIECES
    large = {"candidates": [{"inlineData": {"mimeType": "audio/wav", "data": "A" * 4_000_000}}]}
    told = result_told(large, status=TaskStatus.SUCCEEDED, task_type="other", definition=None)
    assert told == [{"kind": "audio", "inside": 3_000_000}]
    veo = built_in()["veo"].reading
    video = {"bytesBase64Encoded": "QUJD" * 100, "mimeType": "video/mp4"}
    found = read(veo, {"name": "op", "done": True, "response": {"videos": [video] * 300}})
    assert found.status == TaskStatus.SUCCEEDED
    assert found.result == [{"kind": "video", "inside": 300}] * MAX_PIECES


# --- Functions of ours in expressions --------------------------------------------------------------------


def test_json_in_a_string_is_read_and_what_is_none_is_nothing() -> None:
    assert find("from_json(a).b[0]", {"a": '{"b": [7]}'}) == 7
    for odd in ("", "{", "[" * 5_000, '{"a": 1e999}', None, 7, {"b": 1}):
        assert find("from_json(a).b", {"a": odd}) is None
    assert find("lower(a)", {"a": "Größe"}) == "größe" and find("lower(a)", {"a": 1}) is None


def test_json_in_strings_is_not_read_without_end() -> None:
    twice = "|".join(["[@, @][]"] * 14)
    with pytest.raises(ReadingError, match="steps"):
        find(f"[a, a] | {twice} | map(&from_json(@), @)", {"a": json.dumps(["x" * 1_000] * 100)})


# --- Answers that say the task is gone -------------------------------------------------------------------

GONE = [
    ({"error": {"code": "TaskExpired", "message": "gone"}}, True),
    ({"error": {"code": "task_expired", "message": "gone"}}, True),
    ({"error": {"message": "The video has expired and can no longer be fetched."}}, True),
    ({"detail": "Job 12 expired"}, True),
    ({"code": 400, "message": "任务已过期"}, True),
    ({"message": "The result is no longer available."}, True),
    ({"error": {"message": "Video with id 'video_1' not found.", "code": None}}, False),
    ({"code": 404, "reason": "TaskNotFound", "message": "", "metadata": {}}, False),
    ({"error": {"type": "bad_request_error", "message": "invalid params, invalid task_id"}}, False),
    ({"code": 422, "msg": "recordInfo is null", "data": None}, False),
    ({"message": "任务不存在"}, False),
    ({"error": {"code": "task_not_exist", "message": "x"}}, False),
    ({"error": {"code": 404, "status": "NOT_FOUND", "message": "Requested entity was not found."}}, False),
    ({"error": {"message": "No such prediction"}}, False),
]
ELSE = [
    {"error": {"message": "Your API key has expired."}},
    {"error": {"code": "SignatureExpired", "message": "The request's signature expired."}},
    {"error": {"message": "The task's access token has expired"}},
    {"message": "套餐已过期，任务无法提交"},
    {"error": {"message": "The model `sora-9` does not exist"}},
    {"error": "Bad Request"},
    {},
    [],
    None,
    "expired",
    {"prompt": "x" * 100_000},
    {"prompt": "A video of a coupon that has expired", "input": {"text": "The task does not exist."}},
]


@pytest.mark.parametrize(("document", "expired"), GONE)
def test_a_body_says_that_a_task_has_expired_or_is_not_known(document: Any, expired: bool) -> None:
    found = refusal_in(document)
    assert found is not None and found.expired is expired


@pytest.mark.parametrize("document", ELSE)
def test_what_else_expires_or_is_missing_is_no_task(document: Any) -> None:
    assert refusal_in(document) is None
