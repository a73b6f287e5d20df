"""Setting instrumentations up, as their documentations say, with the console as where spans go."""

# mypy: ignore-errors
from __future__ import annotations

import os
from importlib import import_module

OPENINFERENCE = {
    "openai": "openinference.instrumentation.openai:OpenAIInstrumentor",
    "anthropic": "openinference.instrumentation.anthropic:AnthropicInstrumentor",
    "google": "openinference.instrumentation.google_genai:GoogleGenAIInstrumentor",
    "bedrock": "openinference.instrumentation.bedrock:BedrockInstrumentor",
    "langchain": "openinference.instrumentation.langchain:LangChainInstrumentor",
    "agents": "openinference.instrumentation.openai_agents:OpenAIAgentsInstrumentor",
}
OPENLLMETRY = {
    "openai": "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
    "anthropic": "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
    "bedrock": "opentelemetry.instrumentation.bedrock:BedrockInstrumentor",
}
OPENTELEMETRY = {
    "openai": "opentelemetry.instrumentation.genai.openai:OpenAIInstrumentor",
    "openai-v2": "opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor",
    "anthropic": "opentelemetry.instrumentation.genai.anthropic:AnthropicInstrumentor",
    "google": "opentelemetry.instrumentation.google_genai:GoogleGenAiSdkInstrumentor",
    "bedrock": "opentelemetry.instrumentation.botocore:BotocoreInstrumentor",
}
FAMILIES = {"openinference": OPENINFERENCE, "openllmetry": OPENLLMETRY, "opentelemetry": OPENTELEMETRY}


def processor(console: str, key: str):
    """Return what sends spans to the console in batches, compressed."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    headers = {"Authorization": f"Bearer {key}"}
    return BatchSpanProcessor(
        OTLPSpanExporter(endpoint=f"{console}/v1/traces", headers=headers, compression=Compression.Gzip)
    )


def set_up(instrumentation: str, sdk: str, console: str, key: str):
    """Set an instrumentation of an SDK up; return what sends the rest of its spans.

    "own" is none: the SDK makes spans by itself.
    """
    if instrumentation == "logfire":
        return _logfire(sdk, processor(console, key))
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "span_only"
    provider = TracerProvider(resource=Resource.create({"service.name": "test-app"}))
    provider.add_span_processor(processor(console, key))
    trace.set_tracer_provider(provider)
    for family in instrumentation.split("+"):
        if family == "langsmith":
            os.environ |= {"LANGSMITH_TRACING": "true", "LANGSMITH_TRACING_MODE": "otel"}
            return lambda: _langsmith_flush(provider)
        if family != "own":
            module, _, name = FAMILIES[family][sdk].partition(":")
            getattr(import_module(module), name)().instrument(tracer_provider=provider)
    return provider.force_flush


def _langsmith_flush(provider) -> bool:
    from langsmith.run_trees import get_cached_client

    get_cached_client().flush()
    return provider.force_flush()


def _logfire(sdk: str, where_to):
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        service_name="test-app",
        additional_span_processors=[where_to],
    )
    for name in sdk.split("+"):
        instrument = {
            "openai": "instrument_openai",
            "anthropic": "instrument_anthropic",
            "google": "instrument_google_genai",
            "pydantic-ai": "instrument_pydantic_ai",
            "agents": "instrument_openai_agents",
        }[name]
        getattr(logfire, instrument)()
    return logfire.force_flush
