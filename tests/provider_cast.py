"""Providers that stand still: what they are asked is remembered, and they answer in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routescope.wire import outbound
from tasks.models import AsyncTask, ProviderCredential
from tasks.providers.catalogue import built_in
from tasks.providers.key_binding import enter_key


def task(**fields: Any) -> AsyncTask:
    return AsyncTask(
        **{"provider_task_id": "1", "type": "image", "poll_parameters": {}, "poll_url": "", **fields}
    )


def key_of(platform: str, key: str, *, base_url: str = "") -> ProviderCredential:
    credential = ProviderCredential(platform=platform, base_url=base_url)
    enter_key(credential, key, built_in()[platform])
    return credential


class Answers:
    """Stands in for providers: remembers what it was asked, answers in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str]]] = []
        monkeypatch.setattr(outbound, "request", self.answer)

    def answer(self, method: str, url: str, *, headers: dict[str, str], **_: Any) -> outbound.Answer:
        self.asked.append((url, headers))
        status, document = self.answers.pop(0)
        return outbound.Answer(status, {}, json.dumps(document).encode(), url)
