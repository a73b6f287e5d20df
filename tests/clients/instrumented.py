"""The real OpenAI SDK under an instrumentation: makes calls, and prints what it knows of each as JSON lines.

Runs in the clients' own environment: ``python instrumented.py INSTRUMENTATION UPSTREAM CONSOLE KEY``.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import os
import sys

MODEL = "gpt-4o"
CALLS = (
    ("ok", False), ("cached", False), ("reasoning", False), ("fail 401", False), ("fail 429", False),
    ("fail 400", False), ("fail 500", False), ("ok", True), ("cached", True), ("ok", True),
    ("fail 429", True), ("embed", False),
)  # fmt: skip


def exporter(console: str, key: str):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    headers = {"Authorization": f"Bearer {key}"}
    return OTLPSpanExporter(endpoint=f"{console}/v1/traces", headers=headers, compression=Compression.Gzip)


def instrument(name: str, console: str, key: str):
    """Set the instrumentation up; return what sends the rest of its spans."""
    if name == "logfire":
        import logfire
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        processor = BatchSpanProcessor(exporter(console, key))
        logfire.configure(
            send_to_logfire=False,
            console=False,
            service_name="test-app",
            additional_span_processors=[processor],
        )
        logfire.instrument_openai()
        return logfire.force_flush
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "test-app"}))
    provider.add_span_processor(BatchSpanProcessor(exporter(console, key)))
    if name == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    elif name == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    else:
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return provider.force_flush


def call(client, order: str, stream: bool) -> dict:
    """Make one call; return what this client knows of it."""
    import openai

    told = {"order": order, "stream": stream, "model": MODEL}
    messages = [{"role": "user", "content": order}]
    try:
        if order == "embed":
            answer = client.embeddings.create(model="text-embedding-3-small", input="ok")
            return told | {
                "model": "text-embedding-3-small",
                "input": answer.usage.prompt_tokens,
                "output": 0,
            }
        if not stream:
            answer = client.chat.completions.create(model=MODEL, messages=messages, temperature=0.5)
            return told | {"id": answer.id} | usage(answer.usage)
        for chunk in client.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        ):
            told["id"] = chunk.id
            if chunk.usage:
                told |= usage(chunk.usage)
    except openai.APIStatusError as error:
        told |= {"status": error.status_code, "error": type(error).__name__, "code": error.code}
    return told


def usage(given) -> dict:
    return {
        "input": given.prompt_tokens,
        "output": given.completion_tokens,
        "cached": given.prompt_tokens_details.cached_tokens,
        "reasoning": given.completion_tokens_details.reasoning_tokens,
    }


def main() -> None:
    name, upstream, console, key = sys.argv[1:]
    flush = instrument(name, console, key)
    import openai

    client = openai.OpenAI(base_url=f"{upstream}/v1", api_key="sk-fake", max_retries=0)
    for order, stream in CALLS:
        print(json.dumps(call(client, order, stream)), flush=True)  # noqa: T201
    if not flush():
        sys.exit("The exporter could not send all spans.")


if __name__ == "__main__":
    main()
