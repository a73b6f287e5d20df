"""The clients that are tried, and what each of them does not export."""

from __future__ import annotations

from tests.clients.comparing import Client

INSTRUMENTED = (
    Client(
        "opentelemetry-instrumentation-genai-openai", "python", ("openai", "opentelemetry", "openai"),
        ("openai", "opentelemetry-instrumentation-genai-openai"),
    ),
    Client(
        "OpenLLMetry openai", "python", ("openai", "openllmetry", "openai"),
        ("openai", "opentelemetry-instrumentation-openai"),
    ),
    Client(
        "OpenInference openai", "python", ("openai", "openinference", "openai"),
        ("openai", "openinference-instrumentation-openai"),
    ),
    Client("logfire openai", "python", ("openai", "logfire", "openai"), ("openai", "logfire")),
    Client(
        "OpenInference langchain", "python", ("langchain", "openinference", "langchain"),
        ("langchain", "langchain-openai", "openai", "openinference-instrumentation-langchain"),
    ),
    Client(
        "logfire pydantic-ai", "python", ("pydantic-ai", "logfire", "pydantic-ai"),
        ("pydantic-ai-slim", "logfire", "openai", "anthropic"),
    ),
    Client(
        "logfire pydantic-ai over openai", "python", ("pydantic-ai", "logfire", "pydantic-ai+openai+anthropic"),
        ("pydantic-ai-slim", "logfire", "openai", "anthropic"),
    ),
    Client("anthropic own spans", "python", ("anthropic", "own", "anthropic"), ("anthropic",)),
    Client(
        "anthropic own spans and OpenLLMetry", "python", ("anthropic", "openllmetry", "anthropic"),
        ("anthropic", "opentelemetry-instrumentation-anthropic"),
    ),
    Client(
        "anthropic own spans and OpenInference", "python", ("anthropic", "openinference", "anthropic"),
        ("anthropic", "openinference-instrumentation-anthropic"),
    ),
    Client(
        "anthropic own spans and genai", "python", ("anthropic", "opentelemetry", "anthropic"),
        ("anthropic", "opentelemetry-instrumentation-genai-anthropic"),
    ),
    Client("anthropic own spans and logfire", "python", ("anthropic", "logfire", "anthropic"), ("anthropic", "logfire")),
    Client(
        "opentelemetry google-genai", "python", ("google", "opentelemetry", "google"),
        ("google-genai", "opentelemetry-instrumentation-google-genai"),
    ),
    Client(
        "OpenInference google-genai", "python", ("google", "openinference", "google"),
        ("google-genai", "openinference-instrumentation-google-genai"),
    ),
    Client(
        "OpenInference openai-agents", "python", ("agents", "openinference", "agents"),
        ("openai-agents", "openai", "openinference-instrumentation-openai-agents"),
    ),
    Client("logfire openai-agents", "python", ("agents", "logfire", "agents"), ("openai-agents", "openai", "logfire")),
    Client(
        "botocore bedrock", "python", ("bedrock", "opentelemetry", "bedrock"),
        ("boto3", "opentelemetry-instrumentation-botocore"),
    ),
    Client(
        "OpenLLMetry bedrock", "python", ("bedrock", "openllmetry", "bedrock"),
        ("boto3", "opentelemetry-instrumentation-bedrock"),
    ),
    Client(
        "OpenInference bedrock", "python", ("bedrock", "openinference", "bedrock"),
        ("boto3", "openinference-instrumentation-bedrock"),
    ),
)  # fmt: skip
