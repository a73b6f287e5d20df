"""Every provider's answers, of every status, read by its definition: shapes recorded from its API
documentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routescope.encryption import decrypt, encrypt
from tasks.following.provider_calls import CannotAskError, ask, fill, poll_url
from tasks.models import Provider, TaskStatus
from tasks.outcomes.causes import judge
from tasks.providers.catalogue import _plain as catalogue_name
from tasks.providers.catalogue import built_in, built_in_source, catalogue
from tasks.providers.definition import Definition, DefinitionError, parse
from tasks.providers.reading import read
from tests.provider_cast import Answers, key_of, task

ANSWERS = Path(__file__).parent / "provider_answers"


def cases() -> list[Any]:
    found = []
    for file in sorted(ANSWERS.glob("*.json")):
        for number, case in enumerate(json.loads(file.read_text())):
            found.append(pytest.param(file.stem, case, id=f"{file.stem}-{number}-{case['status']}"))
    return found


@pytest.mark.parametrize(("slug", "case"), cases())
def test_an_answer_says_what_the_provider_means(slug: str, case: dict[str, Any]) -> None:
    definition = built_in()[slug]
    finding = read(
        definition.reading,
        case["answer"],
        task_type=definition.types[0],
        task_id=case.get("task_id", "the-id"),
        base=case.get("base", ""),
    )
    assert finding.status == case["status"]
    for name in ("word", "progress", "result", "failure_code", "failure_message"):
        if name in case:
            assert getattr(finding, name) == case[name], name
    for name in ("started_at", "finished_at", "expires_at"):
        if name in case:
            moment = getattr(finding, name)
            assert moment is not None and moment.isoformat() == case[name]
    if "lifetime" in case:
        assert finding.lifetime is not None and finding.lifetime.total_seconds() == case["lifetime"]
    if "cause" in case:
        cause, evidence = judge(
            str(finding.status), finding.failure_code, finding.failure_message, finding.word
        )
        assert cause == case["cause"], evidence


def test_every_provider_is_tested_with_every_word_it_knows() -> None:
    assert {file.stem for file in ANSWERS.glob("*.json")} == set(built_in())
    for slug, definition in built_in().items():
        if slug in ("generic", "suno"):
            continue  # They also know the synonyms of others.
        answers = json.loads((ANSWERS / f"{slug}.json").read_text())
        words = {read(definition.reading, case["answer"]).word for case in answers}
        missing = set(definition.reading.words) - words - {"Queued", "Reasoning"}
        assert not missing, f"{slug}: {missing}"


@pytest.mark.parametrize("slug", sorted(built_in()))
def test_what_was_never_seen_breaks_nothing(slug: str) -> None:
    reading = built_in()[slug].reading
    for strange in (
        None,
        [],
        {},
        "",
        0,
        [None],
        {"status": {"a": 1}},
        {"data": [1]},
        {"output": "x"},
        {"done": 1},
    ):
        finding = read(reading, strange)
        assert finding.status in (None, TaskStatus.UNKNOWN, TaskStatus.RUNNING) or slug == "veo"


def test_gateways_may_call_a_provider_by_several_names(db: None) -> None:
    known = catalogue()
    for name, slug in (
        ("RunwayML", "runway"),
        ("mj", "midjourney-proxy"),
        ("fal_ai", "fal"),
        ("sora", "openai-videos"),
        ("Hailuo", "minimax"),
        ("seedance", "volcengine-ark"),
        ("Ark", "volcengine-ark"),
        ("volcengine", "volcengine-ark"),
        ("doubao", "volcengine-ark"),
        ("doubao-video", "volcengine-ark"),
        ("kie_ai", "kie"),
        ("SunoAPI", "sunoapi"),
        ("suno", "suno"),
        ("grok", "xai-videos"),
        ("xAI", "xai-videos"),
        ("Azure OpenAI", "azure-videos"),
        ("tencent", "hunyuan"),
        ("dreamina", "jimeng"),
        ("pixverse", "pixverse"),
        ("vidu", "vidu"),
        ("openai_responses", "openai-responses"),
        ("gemini-batch", "gemini-batches"),
        ("vertex-batch", "vertex-batches"),
        ("mistral", "mistral-batches"),
    ):
        found = known.get(name)
        assert found is not None and found.slug == slug
    assert known.get("nobody") is None and known.label("nobody") == "nobody"
    assert known.label("doubao-video") == "Volcengine Ark (Seedance)"


def test_no_name_means_two_providers() -> None:
    names = [name for one in built_in().values() for name in (one.slug, *one.aliases)]
    assert len({catalogue_name(name) for name in names}) == len(names)


def test_an_admins_definition_replaces_ours(db: None) -> None:
    changed = built_in_source("luma").replace('name = "Luma"', 'name = "Luma (ours)"')
    Provider.objects.create(slug="luma", definition=changed)
    assert catalogue().label("luma") == "Luma (ours)"
    Provider.objects.update(is_active=False)
    assert catalogue().get("luma") is None


def test_a_stored_definition_that_is_broken_costs_no_other(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    Provider.objects.create(slug="mine", definition="slug = ")
    assert catalogue().get("runway") is not None and "mine" in caplog.text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('status = "state"', 'status = "state["'), "JMESPath"),
        (('every = "5s"', 'every = "5 seconds"'), "duration"),
        (('queued = "queued"', 'queued = "waiting"'), "waiting"),
        (("[reading]", "[readings]"), "readings"),
        (('hosts = ["api.lumalabs.ai"]', 'hosts = ["*"]'), "any host"),
        (('slug = "luma"', 'slug = "Lu ma"'), "slug"),
        (('https://api.lumalabs.ai"\nhosts', 'http://api.lumalabs.ai"\nhosts'), "https"),
        (('name = "Luma"', "name = "), "TOML"),
    ],
)
def test_a_definition_that_cannot_work_says_what_to_mend(change: tuple[str, str], complaint: str) -> None:
    source = built_in_source("luma")
    assert change[0] in source
    with pytest.raises(DefinitionError, match=complaint):
        parse(source.replace(*change))


def test_urls_are_filled_so_that_ids_cannot_leave_their_place() -> None:
    assert fill("{+base}/v1/{id}", {"base": "https://x.example/", "id": "a/b?c#d"}) == (
        "https://x.example/v1/a%2Fb%3Fc%23d"
    )
    assert fill("https://x/{+id}", {"id": "models/veo/operations/1"}) == "https://x/models/veo/operations/1"
    for values in ({"id": "../admin"}, {"id": "a/../b"}, {"id": ""}, {}):
        with pytest.raises(CannotAskError):
            fill("https://x/{+id}", values)


def luma() -> Definition:
    return built_in()["luma"]


def test_a_poll_url_of_another_host_is_not_used() -> None:
    poll = built_in()["black-forest-labs"].poll
    assert poll is not None
    named = "https://api.eu1.bfl.ai/v1/get_result?id=1"
    assert poll_url(task(poll_url=named), poll, None) == named
    for other in ("https://bfl.ai.evil.example/x", "https://evil.example/?api.bfl.ai", "https://[broken"):
        assert poll_url(task(poll_url=other), poll, None) == "https://api.bfl.ai/v1/get_result?id=1"


def test_fal_is_asked_for_its_result_once_it_has_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answers(
        monkeypatch,
        (200, {"status": "COMPLETED", "response_url": "https://queue.fal.run/fal-ai/flux/requests/1"}),
        (200, {"images": [{"url": "https://v3.fal.media/a.png"}]}),
    )
    asked = ask(task(poll_parameters={"model": "fal-ai/flux"}), built_in()["fal"], key_of("fal", "k"))
    assert asked.finding is not None and asked.finding.status == TaskStatus.SUCCEEDED
    assert [url for url, _ in provider.asked] == [
        "https://queue.fal.run/fal-ai/flux/requests/1/status",
        "https://queue.fal.run/fal-ai/flux/requests/1",
    ]
    assert all(headers["Authorization"] == "Key k" for _, headers in provider.asked)


def test_a_result_that_cannot_be_fetched_yet_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, (200, {"status": "COMPLETED"}), (503, {}))
    asked = ask(task(poll_parameters={"model": "fal-ai/flux"}), built_in()["fal"], None)
    assert (asked.status, asked.finding) == (503, None)


def test_a_named_result_url_of_another_host_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answers(
        monkeypatch, (200, {"status": "COMPLETED", "response_url": "https://evil.example/"}), (200, {})
    )
    ask(task(poll_parameters={"model": "fal-ai/flux"}), built_in()["fal"], None)
    assert provider.asked[1][0].startswith("https://queue.fal.run/")


def test_kling_gets_a_token_signed_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answers(monkeypatch, (200, {"data": {"task_status": "processing"}}))
    ask(task(), built_in()["kling"], key_of("kling", "access:secret"))
    url, headers = provider.asked[0]
    assert url == "https://api-singapore.klingai.com/v1/videos/text2video/1"
    assert headers["Authorization"].startswith("Bearer eyJ") and "secret" not in headers["Authorization"]
    assert headers["Authorization"].count(".") == 2


def test_what_is_encrypted_is_read_with_any_configured_key(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["old"]
    token = encrypt(b"a key")
    assert b"a key" not in token
    settings.ENCRYPTION_KEYS = ["new", "old"]
    assert decrypt(token) == b"a key"
    settings.ENCRYPTION_KEYS = ["new"]
    with pytest.raises(Exception, match="cannot be decrypted"):
        decrypt(token)
