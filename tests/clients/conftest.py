"""The clients run in their own environment, against a running console and a stand-in for the provider."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from accounts.models import Gateway, IngestKey
from logs.models import UsageRecord
from tests.clients import upstream as provider

FOLDER = Path(__file__).resolve().parent
PYTHON = FOLDER.parent.parent / "var" / "clients" / "bin" / "python"
_PATIENCE_SECONDS = 60
FLUSH_SECONDS = 20
"""How often LiteLLM sends here: seldom, as a call that is logged while a batch is on its way is lost."""
Told = list[dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def clients() -> None:
    if "TEST_CLIENTS" not in os.environ:
        pytest.skip("Real clients take minutes: make test-clients installs them and runs these tests.")
    if not PYTHON.exists():
        pytest.fail(f"The clients are not installed in {PYTHON.parent.parent}: run make test-clients.")


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """The address of the stand-in for the provider."""
    server = provider.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Console:
    """A running console, with a gateway and its key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.gateway = Gateway.objects.create(name="client")
        _, self.key = IngestKey.issue(self.gateway)

    def records(self, count: int) -> list[Any]:
        """Return the gateway's records, oldest first, once there are as many as expected."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        rows = UsageRecord.objects.select_related("user", "token", "model", "group")
        while True:
            found = list(rows.filter(gateway=self.gateway).order_by("created_at"))
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.2)


@pytest.fixture
def console(live_server: LiveServer) -> Console:
    return Console(live_server.url)


@pytest.fixture
def run() -> Callable[..., Told]:
    """Run a script of this folder in the clients' environment; return the JSON lines that it prints."""

    def call(script: str, *arguments: str) -> Told:
        done = subprocess.run(
            [PYTHON, FOLDER / script, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env=plain_environment(),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return call


def plain_environment() -> dict[str, str]:
    """Return the environment without what would lead the clients elsewhere: proxies, Django, telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("DJANGO", "OTEL", "OPENAI", "PYTHON"))
    }
    return {
        **kept,
        "NO_PROXY": "*",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DEFAULT_FLUSH_INTERVAL_SECONDS": str(FLUSH_SECONDS),
    }


def assert_told(told: dict[str, Any], record: Any, *, but: tuple[str, ...] = ()) -> None:
    """Compare what a client knows of its call with the record of it."""
    failed = "status" in told
    seen = {
        "model": record.model.name if record.model else None,
        "id": record.request_id,
        "input": record.input_tokens,
        "output": record.output_tokens,
        "cached": record.cached_tokens,
        "reasoning": record.reasoning_tokens or 0,
        "status": record.http_status,
        "error": record.error_type,
        "code": record.error_code,
        "images": record.image_count,
        "stream": bool(record.stream),
    }
    expected = {name: value for name, value in told.items() if name in seen and name not in but}
    assert {name: seen[name] for name in expected} == expected, told
    assert record.status == (2 if failed else 1), told
