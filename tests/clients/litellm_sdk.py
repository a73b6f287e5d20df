"""The real LiteLLM SDK with its generic API callback: prints what it knows of each call as JSON lines.

Runs in the clients' own environment: ``python litellm_sdk.py UPSTREAM CONSOLE KEY LOG_FORMAT``.
"""

# mypy: ignore-errors
from __future__ import annotations

import asyncio
import json
import sys

import litellm
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

LOGGED_SECONDS = 2
"""The callback runs beside the calls."""
MODEL = "gpt-4o-mini"
METADATA = {
    "user_api_key_alias": "billing-batch",
    "user_api_key_user_id": "u-1007",
    "user_api_key_user_email": "maria@example.com",
    "user_api_key_team_alias": "Finance Ops",
}
CALLS = (
    ("ok", False), ("cached", False), ("reasoning", False), ("fail 401", False), ("fail 429", False),
    ("fail 400", False), ("fail 500", False), ("ok", True), ("cached", True), ("fail 429", True),
    ("embed", False), ("image", False),
)  # fmt: skip


async def call(upstream: str, order: str, stream: bool) -> dict:
    """Make one call; return what this client knows of it."""
    told = {"order": order, "stream": stream, "model": MODEL}
    common = {
        "api_base": f"{upstream}/v1",
        "api_key": "sk-fake",
        "metadata": dict(METADATA),
        "max_retries": 0,
    }
    try:
        if order == "embed":
            answer = await litellm.aembedding(model="openai/text-embedding-3-small", input=["ok"], **common)
            told["model"] = "text-embedding-3-small"
            return told | {"input": answer.usage.prompt_tokens, "output": 0, "cost": cost(answer)}
        if order == "image":
            answer = await litellm.aimage_generation(model="openai/dall-e-3", prompt="ok", **common)
            return told | {"model": "dall-e-3", "images": len(answer.data), "cost": cost(answer)}
        messages = [{"role": "user", "content": order}]
        if not stream:
            answer = await litellm.acompletion(model=f"openai/{MODEL}", messages=messages, **common)
            return told | {"id": answer.id, "cost": cost(answer)} | usage(answer.usage)
        chunks = await litellm.acompletion(
            model=f"openai/{MODEL}",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
            **common,
        )
        async for chunk in chunks:
            told["id"] = chunk.id
            if getattr(chunk, "usage", None):
                told |= usage(chunk.usage)
    except Exception as error:
        told |= {"status": error.status_code, "error": type(error).__name__}
    return told


def cost(answer) -> str:
    return str(answer._hidden_params["response_cost"])


def usage(given) -> dict:
    return {
        "input": given.prompt_tokens,
        "output": given.completion_tokens,
        "cached": given.prompt_tokens_details.cached_tokens if given.prompt_tokens_details else 0,
        "reasoning": given.completion_tokens_details.reasoning_tokens
        if given.completion_tokens_details
        else 0,
    }


async def main() -> None:
    upstream, console, key, log_format = sys.argv[1:]
    litellm.callback_settings = {
        "routescope": {
            "callback_type": "generic_api",
            "endpoint": f"{console}/api/v1/ingest/litellm",
            "headers": {"Authorization": f"Bearer {key}"},
            "log_format": log_format,
        }
    }
    litellm.logging_callback_manager.add_litellm_callback("routescope")
    for order, stream in CALLS:
        print(json.dumps(await call(upstream, order, stream)), flush=True)  # noqa: T201
    await asyncio.sleep(LOGGED_SECONDS)
    # Only now: LiteLLM loses what is logged while a batch is on its way, which is not what is tested here.
    [logger] = [one for one in litellm.callbacks if isinstance(one, GenericAPILogger)]
    await logger.flush_queue()


if __name__ == "__main__":
    asyncio.run(main())
