"""The real LiteLLM SDK with its generic callback, its OpenTelemetry, or both.

Prints what it knows of each call. ``python litellm_calls.py MODES UPSTREAM CONSOLE KEY``: MODES are
"json_array", "ndjson" or "single" (formats of the generic callback) and "otel", joined by "+"; what stands
first is sent first.
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
PATIENCE_SECONDS = 2
METADATA = {
    "user_api_key_alias": "billing-batch",
    "user_api_key_user_id": "u-1007",
    "user_api_key_user_email": "maria@example.com",
    "user_api_key_team_alias": "Finance Ops",
}
CHAT, CLAUDE, GEMINI = "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"
CALLS = [
    *(("openai", CHAT, order, False) for order in ("ok", "cached", "reasoning")),
    *(
        ("openai", CHAT, f"fail {name}", False)
        for name in ("400", "policy", "401", "402", "403", "404", "429", "quota", "500", "503")
    ),
    ("openai", CHAT, "slow", False),
    *(("openai", CHAT, order, True) for order in ("ok", "cached", "reasoning", "fail 429", "break")),
    *(("anthropic", CLAUDE, order, False) for order in ("ok", "cached", "written", "written 1h")),
    *(("anthropic", CLAUDE, f"fail {name}", False) for name in ("400", "balance", "401", "429", "529")),
    *(("anthropic", CLAUDE, order, True) for order in ("ok", "cached", "written", "written 1h", "fail 529")),
    *(("google", GEMINI, order, False) for order in ("ok", "cached", "reasoning", "fail 429", "fail key")),
    ("openai", "openai/text-embedding-3-small", "embed", False),
    ("openai", "openai/text-embedding-3-small", "fail 429", False),
]  # fmt: skip


async def call(upstream: str, model: str, order: str, stream: bool) -> dict:
    """Make one call; return what this client knows of it."""
    base = {"openai": f"{upstream}/v1", "anthropic": upstream, "gemini": f"{upstream}/v1beta"}
    common = {
        "api_base": base[model.partition("/")[0]],
        "api_key": "sk-fake",
        "metadata": dict(METADATA),
        "max_retries": 0,
        "timeout": PATIENCE_SECONDS,
    }
    told = {}
    try:
        if "embedding" in model:
            answer = await litellm.aembedding(model=model, input=[order], **common)
            return told | {"cost": cost(answer)}
        messages = [{"role": "user", "content": order}]
        if not stream:
            answer = await litellm.acompletion(model=model, messages=messages, **common)
            return told | {"id": answer.id, "cost": cost(answer)}
        chunks = await litellm.acompletion(
            model=model, messages=messages, stream=True, stream_options={"include_usage": True}, **common
        )
        async for chunk in chunks:
            told["id"] = chunk.id
    except Exception as error:
        told |= {"raised": type(error).__name__, "status": getattr(error, "status_code", None)}
        told.pop("id", None)
    return told


def cost(answer) -> str:
    return str(answer._hidden_params["response_cost"])


async def main() -> None:
    modes, upstream, console, key = sys.argv[1:]
    for mode in modes.split("+"):
        if mode == "otel":
            # Where to send stands in the environment.
            litellm.logging_callback_manager.add_litellm_callback("otel")
            continue
        litellm.callback_settings = {
            "routescope": {
                "callback_type": "generic_api",
                "endpoint": f"{console}/api/v1/ingest/litellm",
                "headers": {"Authorization": f"Bearer {key}"},
                "log_format": mode,
            }
        }
        litellm.logging_callback_manager.add_litellm_callback("routescope")
    for wire, model, order, stream in CALLS:
        api = "embeddings" if "embedding" in model else "chat"
        told = {"wire": wire, "order": order, "api": api, "stream": stream}
        print(json.dumps(told | await call(upstream, model, order, stream)), flush=True)  # noqa: T201
    await asyncio.sleep(LOGGED_SECONDS)
    for mode in modes.split("+"):
        await send_spans() if mode == "otel" else await send_records()


async def send_records() -> None:
    # Only now: LiteLLM loses what is logged while a batch is on its way, which is not what is tested here.
    [logger] = [one for one in litellm.callbacks if isinstance(one, GenericAPILogger)]
    await logger.flush_queue()


async def send_spans() -> None:
    from litellm.litellm_core_utils.litellm_logging import _in_memory_loggers
    from opentelemetry import trace

    # Version 2 has a provider of its own, version 1 that of the process.
    own = [one.tracer_provider for one in _in_memory_loggers if hasattr(one, "tracer_provider")]
    for provider in own or [trace.get_tracer_provider()]:
        await asyncio.to_thread(provider.force_flush)


if __name__ == "__main__":
    asyncio.run(main())
