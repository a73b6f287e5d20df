"""The read API against its own OpenAPI document: schemathesis sends what fits it, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection

from accounts.access import personal_tokens
from accounts.models import Gateway, User
from tests.cast import event, store
from tests.task_cast import a_task

pytestmark = pytest.mark.slow


@pytest.fixture
def token(alice: User, gateway: Gateway, settings: Any) -> Iterator[str]:
    settings.READ_API_REQUESTS_PER_MINUTE = 10**6
    settings.ALLOWED_HOSTS = ["*"]
    store(gateway, *(event(minutes=n) for n in range(5)))
    a_task(alice, gateway)
    # As Django's test client does: the connection of the test stays open between requests.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield personal_tokens.issue(alice, "fuzz", 30)[1]
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_the_document_says(token: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
    # In process nothing decompresses the answers.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    asked = 0
    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        strategy = operation.ok().as_strategy(generation_mode=mode)

        @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=strategy)
        def ask(case: Case[Any]) -> None:
            nonlocal asked
            asked += 1
            # In a query string a lone "false" is a list of one word: what it counts as refusable is not.
            # Refusals are listed in test_read_api.
            case.call_and_validate(headers=headers, excluded_checks=[negative_data_rejection])

        ask()
    assert asked > 100
