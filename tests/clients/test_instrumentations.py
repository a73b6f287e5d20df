"""The OpenAI SDK under real instrumentations: what it was told of each call is what the console stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.clients.conftest import Console, Told, assert_told
from tests.sums import check_rollups

NOT_EXPORTED = {
    # What an instrumentation knows and does not export, so that no console can show it.
    "logfire": ("id of streams", "stream of failures"),
    "openai-v2": ("cached", "reasoning", "stream"),
}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("instrumentation", ["openai-v2", "openllmetry", "logfire", "openinference"])
def test_what_the_client_knows_is_what_the_console_stores(
    instrumentation: str, console: Console, upstream: str, run: Callable[..., Told]
) -> None:
    told = run("instrumented.py", instrumentation, upstream, console.url, console.key)
    records = console.records(len(told))
    assert len(records) == len(told)
    for call, record in zip(told, records, strict=True):
        but = NOT_EXPORTED.get(instrumentation, ())
        if "id of streams" in but and call["stream"]:
            but = (*but, "id")
        if "stream of failures" in but and "status" in call:
            but = (*but, "stream")
        assert_told(call, record, but=but)
        assert record.token.name == "test-app"
    check_rollups()
