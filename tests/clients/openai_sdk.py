"""The real OpenAI SDK, pointed at a LiteLLM proxy: prints what it knows of each call as JSON lines.

Runs in the clients' own environment: ``python openai_sdk.py PROXY KEY``.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys

import openai

CALLS = (
    ("ok", False), ("cached", False), ("reasoning", False), ("fail 401", False), ("fail 429", False),
    ("ok", True), ("cached", True), ("embed", False),
)  # fmt: skip


def main() -> None:
    proxy, key = sys.argv[1:]
    client = openai.OpenAI(base_url=f"{proxy}/v1", api_key=key, max_retries=0)
    for order, stream in CALLS:
        print(json.dumps(call(client, order, stream)), flush=True)  # noqa: T201


def call(client: openai.OpenAI, order: str, stream: bool) -> dict:
    """Make one call; return what this client knows of it, the proxy's headers among it."""
    told = {"order": order, "stream": stream, "model": "house-model"}
    messages = [{"role": "user", "content": order}]
    try:
        if order == "embed":
            raw = client.embeddings.with_raw_response.create(model="house-embedding", input="ok")
            answer = raw.parse()
            told |= {"model": "house-embedding", "input": answer.usage.prompt_tokens, "output": 0}
        elif stream:
            raw = client.chat.completions.with_raw_response.create(
                model="house-model", messages=messages, stream=True, stream_options={"include_usage": True}
            )
            for chunk in raw.parse():
                told["id"] = chunk.id
                if chunk.usage:
                    told |= usage(chunk.usage)
        else:
            raw = client.chat.completions.with_raw_response.create(model="house-model", messages=messages)
            answer = raw.parse()
            told |= {"id": answer.id} | usage(answer.usage)
        headers = raw.headers
        told["cost"] = headers.get("x-litellm-response-cost") if not stream else None
    except openai.APIStatusError as error:
        headers = error.response.headers
        told |= {"status": error.status_code}
    told["call_id"] = headers.get("x-litellm-call-id")
    return told


def usage(given) -> dict:
    return {
        "input": given.prompt_tokens,
        "output": given.completion_tokens,
        "cached": given.prompt_tokens_details.cached_tokens if given.prompt_tokens_details else 0,
        "reasoning": given.completion_tokens_details.reasoning_tokens
        if given.completion_tokens_details
        else 0,
    }


if __name__ == "__main__":
    main()
