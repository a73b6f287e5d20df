"""The clients that are tried, and what each of them does not export."""

from __future__ import annotations

from tests.clients.comparing import Client, Silent

_NO_MESSAGE = (
    "Its spans have the type of an error and no message: 400 invalid_request_error is all they tell."
)
_NO_OUTPUT = Silent(
    ("output", "cost"),
    "It tells no output of a stream that broke, of which its beginning told some.",
    "break",
)
INSTRUMENTED = (
    Client(
        "opentelemetry-instrumentation-genai-openai", "python", ("openai", "opentelemetry", "openai"),
        ("openai", "opentelemetry-instrumentation-genai-openai"),
    ),
    Client(
        "opentelemetry-instrumentation-openai-v2", "openai-v2", ("openai", "opentelemetry", "openai-v2"),
        ("openai", "opentelemetry-instrumentation-openai-v2", "opentelemetry-util-genai"),
        (
            Silent(("record",), "It does not know the Responses API.", api="responses"),
            Silent(("cached", "cost"), "It does not export cached tokens.", order="cached"),
            Silent(("reasoning",), "It does not export reasoning tokens.", order="reasoning"),
        ),
    ),
    Client(
        "OpenLLMetry openai", "python", ("openai", "openllmetry", "openai"),
        ("openai", "opentelemetry-instrumentation-openai"),
        (
            Silent(("reasoning",), "It exports no reasoning tokens of streams.", "reasoning", stream=True),
            Silent(("status", "cost", "cause"), "A stream that broke ends as a success.", order="break"),
        ),
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
        "LangSmith", "python", ("langsmith", "langsmith", ""),
        ("langsmith", "langchain", "langchain-openai", "openai"),
    ),
    Client(
        "logfire pydantic-ai", "python", ("pydantic-ai", "logfire", "pydantic-ai"),
        ("pydantic-ai-slim", "logfire", "openai", "anthropic"),
        (
            Silent(
                ("status", "cost", "HTTP", "cause"), "The span of a refused stream ends without its failure.",
                order="fail", stream=True,
            ),
        ),
    ),
    Client(
        "logfire pydantic-ai over openai", "python",
        ("pydantic-ai", "logfire", "pydantic-ai+openai+anthropic"),
        ("pydantic-ai-slim", "logfire", "openai", "anthropic"),
    ),
    Client(
        "anthropic own spans", "python", ("anthropic", "own", "anthropic"), ("anthropic",),
        (
            Silent(("cause",), _NO_MESSAGE, order="fail 400"),
            Silent(("cause",), _NO_MESSAGE, order="fail balance"),
            _NO_OUTPUT,
        ),
    ),
    Client(
        "anthropic own spans and OpenLLMetry", "python", ("anthropic", "openllmetry", "anthropic"),
        ("anthropic", "opentelemetry-instrumentation-anthropic"),
        (_NO_OUTPUT,),
    ),
    Client(
        "anthropic own spans and OpenInference", "python", ("anthropic", "openinference", "anthropic"),
        ("anthropic", "openinference-instrumentation-anthropic"),
    ),
    Client(
        "anthropic own spans and genai", "python", ("anthropic", "opentelemetry", "anthropic"),
        ("anthropic", "opentelemetry-instrumentation-genai-anthropic"),
    ),
    Client(
        "anthropic own spans and logfire", "python", ("anthropic", "logfire", "anthropic"),
        ("anthropic", "logfire"),
    ),
    Client(
        "opentelemetry google-genai", "google-genai", ("google", "opentelemetry", "google"),
        ("google-genai", "opentelemetry-instrumentation-google-genai"),
    ),
    Client(
        "OpenInference google-genai", "python", ("google", "openinference", "google"),
        ("google-genai", "openinference-instrumentation-google-genai"),
    ),
    Client(
        "OpenInference openai-agents", "python", ("agents", "openinference", "agents"),
        ("openai-agents", "openai", "openinference-instrumentation-openai-agents"),
        (
            Silent(
                ("cached", "cost"), "Of chat completions it exports input and output alone.",
                order="cached", api="chat",
            ),
        ),
    ),
    Client(
        "logfire openai-agents", "python", ("agents", "logfire", "agents"),
        ("openai-agents", "openai", "logfire"),
    ),
    Client(
        "botocore bedrock", "python", ("bedrock", "opentelemetry", "bedrock"),
        ("boto3", "opentelemetry-instrumentation-botocore"),
    ),
    Client(
        "OpenLLMetry bedrock", "python", ("bedrock", "openllmetry", "bedrock"),
        ("boto3", "opentelemetry-instrumentation-bedrock"),
        (Silent(("id",), "It does not export the request's ID."),),
    ),
    Client(
        "OpenInference bedrock", "python", ("bedrock", "openinference", "bedrock"),
        ("boto3", "openinference-instrumentation-bedrock"),
        (
            Silent(("id",), "It does not export the request's ID."),
            Silent(("record",), "It ends no span of a stream that was refused.", order="fail", stream=True),
        ),
    ),
)  # fmt: skip

LITELLM_PACKAGES = ("litellm", "openai", "opentelemetry-sdk")
_OWN_STATUS = "It maps every error to a class with an HTTP status of its own: that is what its caller gets."
_LITELLM = (
    Silent(("HTTP",), _OWN_STATUS, order="slow"),
    Silent(("HTTP",), _OWN_STATUS, order="fail 529"),
    Silent(("HTTP",), _OWN_STATUS, order="fail key"),
    Silent(("input", "output", "cost"), "It counts itself what came of a stream that broke.", order="break"),
)


_LITELLM_V2 = (
    Silent(("reasoning",), "It exports no reasoning tokens.", order="reasoning"),
    Silent(
        ("1h",), "It does not tell for how long cache was written; it sends the cost.", order="written 1h"
    ),
)


def _litellm(where: str, how: str, modes: str, version: str = "") -> Client:
    packages = LITELLM_PACKAGES if version else LITELLM_PACKAGES[:2]
    silent = (*_LITELLM, *_LITELLM_V2) if (modes, version) == ("otel", "v2") else _LITELLM
    return Client(f"LiteLLM {where} {how}", "litellm", (modes, version), packages, silent)


LITELLM_SDKS = (
    _litellm("SDK", "generic json_array", "json_array"),
    _litellm("SDK", "generic ndjson", "ndjson"),
    _litellm("SDK", "generic single", "single"),
    _litellm("SDK", "OTel v1", "otel", "v1"),
    _litellm("SDK", "OTel v2", "otel", "v2"),
    _litellm("SDK", "generic, then OTel v2", "json_array+otel", "v2"),
    _litellm("SDK", "OTel v2, then generic", "otel+json_array", "v2"),
    _litellm("SDK", "OTel v1, then generic", "otel+json_array", "v1"),
)
"""Arguments: what is sent in which order, the version of OpenTelemetry."""
LITELLM_PROXIES = (
    _litellm("proxy", "generic", "generic"),
    _litellm("proxy", "OTel v1", "otel", "v1"),
    _litellm("proxy", "OTel v2", "otel", "v2"),
    _litellm("proxy", "generic, then OTel v2", "generic+otel", "v2"),
    _litellm("proxy", "OTel v2, then generic", "otel+generic", "v2"),
    _litellm("proxy", "generic, then OTel v1", "generic+otel", "v1"),
    _litellm("proxy", "OTel v1, then generic", "otel+generic", "v1"),
)
VERCEL = Client(
    "Vercel AI SDK", "node", (), ("ai", "@ai-sdk/openai", "@opentelemetry/exporter-trace-otlp-proto"),
    (
        Silent(("HTTP",), "Its spans have the message of an error alone, without its status.", order="fail"),
        Silent(("record",), "It ends no span of a stream that broke.", order="break"),
    ),
)  # fmt: skip
