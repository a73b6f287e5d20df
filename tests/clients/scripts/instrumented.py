"""Real SDKs and frameworks under real instrumentations: makes calls, and prints what it knows of each.

``python instrumented.py CALLS INSTRUMENTATION SDK UPSTREAM CONSOLE KEY``.
"""

# mypy: ignore-errors
from __future__ import annotations

import sys
from importlib import import_module

import orders
import telemetry

CALLS = {
    "openai": "sdk_calls:openai_calls",
    "anthropic": "sdk_calls:anthropic_calls",
    "google": "sdk_calls:google_calls",
    "bedrock": "sdk_calls:bedrock_calls",
    "langchain": "framework_calls:langchain_calls",
    "langsmith": "framework_calls:langsmith_calls",
    "agents": "framework_calls:agents_calls",
    "pydantic-ai": "framework_calls:pydantic_calls",
}


def main() -> None:
    kind, instrumentation, sdk, upstream, console, key = sys.argv[1:]
    flush = telemetry.set_up(instrumentation, sdk, console, key)
    module, _, name = CALLS[kind].partition(":")
    for call in getattr(import_module(module), name)(upstream):
        orders.make(call)
    if flush() is False:
        sys.exit("The exporter could not send all spans.")


if __name__ == "__main__":
    main()
