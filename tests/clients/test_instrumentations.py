"""SDKs and frameworks under real instrumentations: what each call used and how it failed is stored so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.clients.comparing import Client, compare
from tests.clients.conftest import Console, Told
from tests.clients.known_clients import INSTRUMENTED
from tests.sums import check_rollups


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("client", INSTRUMENTED, ids=lambda client: client.name)
def test_what_each_call_was_is_what_the_console_stores(
    client: Client, console: Console, upstream: str, run: Callable[..., Told]
) -> None:
    told = run(
        client.environment, "instrumented.py", *client.arguments, upstream, console.url, console.key
    )
    records = console.records(len(told))
    assert compare(client, told, records) == []
    assert {record.token.name for record in records} == {"test-app"}
    check_rollups()
