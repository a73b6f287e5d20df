"""The real LiteLLM, as SDK and as proxy: by its generic callback, its OpenTelemetry, and both at once."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import Sum

from accounts.models import Delivery
from tests.clients.comparing import Client, compare
from tests.clients.conftest import Console, Told, plain_environment
from tests.clients.known_clients import LITELLM_PROXIES, LITELLM_SDKS
from tests.clients.places import ENVIRONMENTS
from tests.sums import check_rollups

MASTER_KEY = "sk-routescope-test"
_START_SECONDS = 90
_END_SECONDS = 60
_ARRIVAL_SECONDS = 120
_LOGGED_SECONDS = 5
_SOON, _LATE = 1, 60
_USD = Decimal("1e-12")


def telemetry(console: Console, version: str) -> dict[str, str]:
    """Return the variables that send LiteLLM's own spans to the console."""
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{console.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {console.key}",
        **({"LITELLM_OTEL_V2": "true"} if version == "v2" else {}),
    }


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("client", LITELLM_SDKS, ids=lambda client: client.name)
def test_the_sdk(client: Client, console: Console, upstream: str, run: Callable[..., Told]) -> None:
    modes, version = client.arguments
    variables = telemetry(console, version) if "otel" in modes else {}
    told = run(client.environment, "litellm_calls.py", modes, upstream, console.url, console.key, **variables)
    records = console.records(len(told))
    assert compare(client, told, records) == []
    if not modes.startswith("otel"):
        for record in records:
            assert record.token.name == "billing-batch"
            assert record.user.email == "maria@example.com"
            assert record.group.name == "Finance Ops"
    for record in records:
        if record.billing and record.billing.get("lines"):
            assert sum(Decimal(line["amount"]) for line in record.billing["lines"]) == record.cost
    check_rollups()


@dataclass
class Proxy:
    """A running proxy; ``end`` ends it, which sends the rest of its spans."""

    address: str
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(_END_SECONDS)


@contextmanager
def running_proxy(
    console: Console, upstream: str, folder: Path, port: int, modes: str, version: str
) -> Iterator[Proxy]:
    """A LiteLLM proxy as docs/gateways/litellm.md sets it up."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(_config(console, upstream, modes)))
    sends = {
        "DEFAULT_FLUSH_INTERVAL_SECONDS": "20",
        # Milliseconds; later than the callback where that is to come first.
        "OTEL_BSP_SCHEDULE_DELAY": str(1000 * (_SOON if modes.startswith("otel") else _LATE)),
    }
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(
            [
                ENVIRONMENTS / "litellm" / "bin" / "litellm",
                *("--config", path, "--host", "127.0.0.1", "--port", str(port)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=plain_environment() | sends | (telemetry(console, version) if "otel" in modes else {}),
        )
    proxy = Proxy(f"http://127.0.0.1:{port}", process)
    try:
        _wait(proxy, folder / "proxy.log")
        yield proxy
    finally:
        proxy.end()


def _config(console: Console, upstream: str, modes: str) -> dict[str, Any]:
    openai = {"api_base": f"{upstream}/v1", "api_key": "sk-fake", "timeout": 2, "max_retries": 0}
    claude = {**openai, "api_base": upstream, "model": "anthropic/claude-sonnet-4-5"}
    callbacks = {"generic": "routescope", "otel": "otel"}
    return {
        "model_list": [
            {"model_name": "house-model", "litellm_params": {"model": "openai/gpt-4o", **openai}},
            {"model_name": "house-claude", "litellm_params": claude},
            {
                "model_name": "house-embedding",
                "litellm_params": {"model": "openai/text-embedding-3-small", **openai},
            },
        ],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {"callbacks": [callbacks[mode] for mode in modes.split("+")], "num_retries": 0},
        "callback_settings": {
            "routescope": {
                "callback_type": "generic_api",
                "endpoint": f"{console.url}/api/v1/ingest/litellm",
                "headers": {"Authorization": f"Bearer {console.key}"},
                "max_retries": 3,
            }
        },
        "general_settings": {"master_key": MASTER_KEY},
    }


def _wait(proxy: Proxy, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and proxy.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{proxy.address}/health/liveliness", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"The proxy does not start:\n{log.read_text()[-3000:]}")


def _arrived(console: Console, count: int) -> None:
    """Wait until the callback has told of as many calls."""
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    sent = Delivery.objects.filter(gateway=console.gateway, endpoint="/api/v1/ingest/litellm")
    while time.monotonic() < deadline:
        sums = sent.aggregate(new=Sum("accepted"), known=Sum("duplicates"))
        if (sums["new"] or 0) + (sums["known"] or 0) >= count:
            return
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("client", LITELLM_PROXIES, ids=lambda client: client.name)
def test_the_proxy(
    client: Client, console: Console, upstream: str, tmp_path: Path, port: int, run: Callable[..., Told]
) -> None:
    modes, version = client.arguments
    with running_proxy(console, upstream, tmp_path, port, modes, version) as proxy:
        told = run(client.environment, "proxy_calls.py", proxy.address, MASTER_KEY)
        # It logs beside the calls.
        time.sleep(_LOGGED_SECONDS)
        if "generic" in modes:
            _arrived(console, len(told))
        proxy.end()
    if "KEEP_LOGS" in os.environ:
        (ENVIRONMENTS / "proxy.log").write_text((tmp_path / "proxy.log").read_text())
    records = console.records(len(told))
    wrong = compare(client, told, records)
    for call, record in zip(told, records, strict=False):
        named = (record.request_id, record.upstream_request_id)
        if "generic" in modes and call.get("call_id") and call["call_id"] not in named:
            wrong.append(f"{call}: is not found by its call ID, but by {named}")
        if call.get("cost") and record.cost != Decimal(call["cost"]).quantize(_USD):
            wrong.append(f"{call}: the proxy itself says {call['cost']}, stored is {record.cost}")
    assert wrong == []
    check_rollups()
