"""The real OpenAI SDK and Anthropic's wire format, pointed at a LiteLLM proxy.

Prints what it knows of each call. ``python proxy_calls.py PROXY KEY``. The proxy's models are house-model,
house-claude and house-embedding.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
import time

import httpx
import openai

ORDERS = ("ok", "cached", "reasoning")
REFUSALS = ("400", "policy", "401", "402", "403", "404", "429", "quota", "500", "503")
PATIENCE_SECONDS = 30
CALLS = [
    *(("openai", "chat", order, False) for order in ORDERS),
    *(("openai", "chat", f"fail {name}", False) for name in REFUSALS),
    ("openai", "chat", "slow", False),
    *(("openai", "chat", order, True) for order in (*ORDERS, "fail 429", "break")),
    *(("openai", "responses", order, False) for order in (*ORDERS, "fail 429")),
    *(("openai", "responses", order, True) for order in ("ok", "cached")),
    ("openai", "embeddings", "embed", False),
    ("openai", "embeddings", "fail 429", False),
    *(("anthropic", "chat", order, False) for order in ("ok", "cached", "written", "written 1h", "fail 529")),
    *(("anthropic", "messages", order, False) for order in ("ok", "cached", "written", "written 1h")),
    ("anthropic", "messages", "fail 400", False),
    *(("anthropic", "messages", order, True) for order in ("ok", "cached", "written 1h")),
]  # fmt: skip


def main() -> None:
    proxy, key = sys.argv[1:]
    client = openai.OpenAI(base_url=f"{proxy}/v1", api_key=key, max_retries=0, timeout=PATIENCE_SECONDS)
    for wire, api, order, stream in CALLS:
        told = {"wire": wire, "order": order, "api": api, "stream": stream}
        print(json.dumps(told | call(client, wire, api, order, stream)), flush=True)  # noqa: T201
        # The order in which the proxy begins calls is that in which they are told of.
        time.sleep(0.05)


def call(client: openai.OpenAI, wire: str, api: str, order: str, stream: bool) -> dict:
    """Make one call; return what this client knows of it, the proxy's headers among it."""
    told = {}
    try:
        if api == "messages":
            return messages(client, order, stream)
        raw = ask(client, wire, api, order, stream)
        answer = raw.parse()
        headers = raw.headers
        if stream:
            for _ in answer:
                pass
        elif api != "embeddings":
            told["id"] = answer.id
        told["call_id"] = headers.get("x-litellm-call-id")
        if not stream:
            told["cost"] = headers.get("x-litellm-response-cost")
    except openai.APIStatusError as error:
        told |= {"raised": type(error).__name__, "status": error.status_code}
        told["call_id"] = error.response.headers.get("x-litellm-call-id")
    except Exception as error:
        told |= {"raised": type(error).__name__}
    return told


def ask(client: openai.OpenAI, wire: str, api: str, order: str, stream: bool):
    model = "house-claude" if wire == "anthropic" else "house-model"
    if api == "embeddings":
        return client.embeddings.with_raw_response.create(model="house-embedding", input=order)
    if api == "responses":
        return client.responses.with_raw_response.create(model=model, input=order, stream=stream)
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    messages = [{"role": "user", "content": order}]
    return client.chat.completions.with_raw_response.create(model=model, messages=messages, **more)


def messages(client: openai.OpenAI, order: str, stream: bool) -> dict:
    """Ask in Anthropic's wire format."""
    body = {
        "model": "house-claude",
        "max_tokens": 2000,
        "stream": stream,
        "messages": [{"role": "user", "content": order}],
    }
    headers = {"x-api-key": client.api_key, "anthropic-version": "2023-06-01"}
    answer = httpx.post(f"{client.base_url}messages", json=body, headers=headers, timeout=PATIENCE_SECONDS)
    told = {"call_id": answer.headers.get("x-litellm-call-id")}
    if answer.is_error:
        return told | {"raised": "HTTPStatusError", "status": answer.status_code}
    return told if stream else told | {"id": answer.json()["id"]}


if __name__ == "__main__":
    main()
