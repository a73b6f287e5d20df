"""The real LiteLLM, as SDK and as proxy: what its caller was told is what the console stores."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.clients.conftest import PYTHON, Console, Told, assert_told, plain_environment
from tests.sums import check_rollups

MASTER_KEY = "sk-routescope-test"
_START_SECONDS = 90
_USD = Decimal("1e-12")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("log_format", ["json_array", "ndjson", "single"])
def test_the_sdk(log_format: str, console: Console, upstream: str, run: Callable[..., Told]) -> None:
    told = run("litellm_sdk.py", upstream, console.url, console.key, log_format)
    records = console.records(len(told))
    assert len(records) == len(told)
    for call, record in zip(told, records, strict=True):
        assert_told(call, record)
        assert record.token.name == "billing-batch"
        assert record.user.email == "maria@example.com"
        assert record.group.name == "Finance Ops"
        if call.get("cost") not in (None, "None"):
            assert record.cost == Decimal(call["cost"]).quantize(_USD)
        if record.billing:
            assert sum(Decimal(line["amount"]) for line in record.billing["lines"]) == record.cost
    check_rollups()


@pytest.fixture
def proxy(console: Console, upstream: str, tmp_path: Path, port: int) -> Iterator[str]:
    """A LiteLLM proxy as docs/gateways/litellm.md sets it up."""
    provider = {"api_base": f"{upstream}/v1", "api_key": "sk-fake"}
    config = {
        "model_list": [
            {"model_name": "house-model", "litellm_params": {"model": "openai/gpt-4o-mini", **provider}},
            {
                "model_name": "house-embedding",
                "litellm_params": {"model": "openai/text-embedding-3-small", **provider},
            },
        ],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {"callbacks": ["routescope"], "num_retries": 0},
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
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(config))
    with (tmp_path / "proxy.log").open("w") as log:
        process = subprocess.Popen(
            [PYTHON.with_name("litellm"), "--config", path, "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=plain_environment(),
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process, tmp_path / "proxy.log")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health/liveliness", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"The proxy does not start:\n{log.read_text()[-3000:]}")


def _first_call(proxy: str) -> None:
    body = {"model": "house-model", "messages": [{"role": "user", "content": "ok"}]}
    headers = {"Authorization": f"Bearer {MASTER_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{proxy}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30):
        pass


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_proxy(console: Console, proxy: str, run: Callable[..., Told]) -> None:
    _first_call(proxy)
    # It has just sent, and will not for a while.
    assert len(console.records(1)) == 1
    told = run("openai_sdk.py", proxy, MASTER_KEY)
    records = console.records(len(told) + 1)[1:]
    assert len(records) == len(told)
    for call, record in zip(told, records, strict=True):
        assert_told(call, record)
        assert call["call_id"] in (record.request_id, record.upstream_request_id)
        if call.get("cost"):
            assert record.cost == Decimal(call["cost"]).quantize(_USD)
        assert record.user.name == "default_user_id"
    check_rollups()
