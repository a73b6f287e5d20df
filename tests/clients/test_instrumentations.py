"""SDKs and frameworks under real instrumentations: what each call used and how it failed is stored so."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.clients.comparing import Client, compare
from tests.clients.conftest import Console, Told
from tests.clients.known_clients import INSTRUMENTED, VERCEL
from tests.clients.places import ENVIRONMENTS, NODE
from tests.sums import check_rollups


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("client", INSTRUMENTED, ids=lambda client: client.name)
def test_what_each_call_was_is_what_the_console_stores(
    client: Client, console: Console, upstream: str, run: Callable[..., Told]
) -> None:
    told = run(client.environment, "instrumented.py", *client.arguments, upstream, console.url, console.key)
    records = console.records(len(told) - client.unheard(told))
    assert compare(client, told, records) == []
    assert {record.token.name for record in records} == {"test-app"}
    check_rollups()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_vercel_ai_sdk(console: Console, upstream: str, run: Callable[..., Told]) -> None:
    if shutil.which("node") is None or not (ENVIRONMENTS / NODE / "node_modules").exists():
        pytest.skip("Node.js with npm is not installed: the Vercel AI SDK cannot be run.")
    told = run(NODE, "vercel_calls.mjs", upstream, console.url, console.key)
    records = console.records(len(told) - VERCEL.unheard(told))
    assert compare(VERCEL, told, records) == []
    check_rollups()
