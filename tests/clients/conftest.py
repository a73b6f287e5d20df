"""The clients run in environments of their own, against a running console and a stand-in for providers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Gateway, IngestKey
from logs.models import UsageRecord
from tests.clients import upstream as provider
from tests.clients.places import ENVIRONMENTS, NODE, SCRIPTS, command
from tests.web_server import Server, collected, start

__all__ = ["collected", "start"]

_PATIENCE_SECONDS = 60
_RUN_SECONDS = 240
_DEADLINES = {"WEB_HEADER_SECONDS": "10", "WEB_STALL_SECONDS": "30"}
"""What the web server waits for clients by default; its own tests wait for less."""
FLUSH_SECONDS = 20
"""How often LiteLLM sends here: seldom, as a call that is logged while a batch is on its way is lost."""
Told = list[dict[str, Any]]
_KEPT_OUT = ("DJANGO", "OTEL", "OPENAI", "ANTHROPIC", "GOOGLE", "GEMINI", "AWS", "LANG", "LOGFIRE", "PYTHON")


@pytest.fixture(scope="session", autouse=True)
def clients() -> None:
    if "TEST_CLIENTS" not in os.environ:
        pytest.skip("Real clients take minutes: make test-clients installs them and runs these tests.")
    if not ENVIRONMENTS.exists():
        pytest.fail(f"The clients are not installed in {ENVIRONMENTS}: run make test-clients.")


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """The address of the stand-in for the providers."""
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
def console(start: Callable[..., Server]) -> Console:
    server = start(**_DEADLINES)
    return Console(f"http://127.0.0.1:{server.port}")


@pytest.fixture
def run() -> Callable[..., Told]:
    """Run a script of ``scripts/`` in an environment; return the JSON lines that it prints."""

    def call(environment: str, script: str, *arguments: str, **variables: str) -> Told:
        place = SCRIPTS / script
        if environment == NODE:
            # Modules are looked for beside the file that imports them.
            place = Path(shutil.copy(place, ENVIRONMENTS / NODE))
        done = subprocess.run(
            [*command(environment), place, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_SECONDS,
            env=plain_environment() | variables,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]

    return call


def plain_environment() -> dict[str, str]:
    """Return the environment without what would lead the clients elsewhere: proxies, Django, telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(_KEPT_OUT)
    }
    return {
        **kept,
        "NO_PROXY": "*",
        "AI_SDK_LOG_WARNINGS": "false",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DEFAULT_FLUSH_INTERVAL_SECONDS": str(FLUSH_SECONDS),
        "OPENAI_AGENTS_DISABLE_TRACING_EXPORT": "true",
    }
