"""The AI SDK of Vercel (``experimental_telemetry``), versions 4 to 6.

Source: ai-sdk.dev/docs/ai-sdk-core/telemetry, and what version 6.0 exports. ``ai.generateText`` is the
whole of a task, ``ai.generateText.doGenerate`` one call of the provider, which has no operation name, and
without an answer no usage.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from logs.ingest.formats import usage_objects
from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.spans import names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect
from logs.ingest.formats.spans.span import Span
from logs.models.events import JSONObject

_OPERATION = ("ai.operationId",)
_CALL = re.compile(r"ai\.\w{1,40}\.do[A-Z]\w{2,40}")
_METADATA = "ai.telemetry.metadata."
_USER = ("userEmail", "user_email", "email", "userId", "user_id", "userid", "user")
_TOKEN = ("tokenName", "token_name", "token", "apiKeyName", "api_key_name", "keyName", "key_name", "apiKey")
_GROUP = ("teamName", "team_name", "team", "teamId", "team_id", "group", "organization", "tenant")
_SETTINGS = "ai.settings."
_INCLUDING = (
    "ai.usage.inputTokenDetails.noCacheTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "ai.usage.inputTokenDetails.cacheWriteTokens",
)
_RAW_PROVIDERS = ("anthropic", "amazon-bedrock", "bedrock", "google.vertex.anthropic", "vertex.anthropic")


class Vercel(SpanDialect):
    marks = _OPERATION

    def speaks(self, span: Span) -> bool:
        return super().speaks(span) or (span.scope == "ai" and span.name.startswith("ai."))

    def is_call(self, span: Span) -> bool:
        named = values.text(span.attributes, _OPERATION) or span.name.partition(" ")[0]
        return _CALL.fullmatch(named) is not None

    def operation(self, span: Span) -> str:
        return "embeddings" if self._name(span).startswith("ai.embed") else "chat"

    def endpoint(self, span: Span) -> str | None:
        return self._name(span)

    def provider(self, span: Span) -> str | None:
        named = values.text(span.attributes, ("ai.model.provider", *names.PROVIDER))
        # The provider's module and the kind of model: openai.chat, openai.responses.
        return named.partition(".")[0] if named else None

    def told(self, span: Span, answer: GivenAnswer) -> Told:
        told = super().told(span, answer)
        own = self._provider_metadata(span)
        if not told.written:
            told.written = usage_objects.number(own.get("cacheCreationInputTokens"))
        if usage := usage_objects.loose(own.get("usage")):
            lifetimes = usage_objects.told(usage)
            told.written_5m, told.written_1h = lifetimes.written_5m, lifetimes.written_1h
        if told.beside and told.total == (told.input or 0) + (told.output or 0):
            # Its total is the sum of what it tells, and says nothing of what lies beside.
            told.total = None
        return told

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        """Version 6 has the input with and without the cache; before it Anthropic's came as they are."""
        provider = values.text(span.attributes, ("ai.model.provider",)) or ""
        is_raw = provider.startswith(_RAW_PROVIDERS)
        return CACHE if is_raw and not any(name in span.attributes for name in _INCLUDING) else NOTHING

    def stream(self, span: Span) -> bool | None:
        found = super().stream(span)
        return found if found is not None else self._name(span).endswith("doStream")

    def user(self, span: Span) -> str:
        return super().user(span) or values.identifier(span.attributes, _of_metadata(_USER))

    def token(self, span: Span) -> str | None:
        return values.text(span.attributes, _of_metadata(_TOKEN)) or super().token(span)

    def group(self, span: Span) -> str | None:
        return super().group(span) or values.text(span.attributes, _of_metadata(_GROUP))

    def parameters(self, span: Span) -> JSONObject:
        settings: dict[str, Any] = {
            name.removeprefix(_SETTINGS): value
            for name, value in span.attributes.items()
            if name.startswith(_SETTINGS)
        }
        return {**settings, **super().parameters(span)}

    def served_tier(self, span: Span, answer: GivenAnswer) -> str | None:
        own = self._provider_metadata(span)
        usage = usage_objects.loose(own.get("usage"))
        tier = own.get("serviceTier") or usage.get("service_tier")
        return tier if isinstance(tier, str) else super().served_tier(span, answer)

    def answer(self, span: Span) -> GivenAnswer:
        found = super().answer(span)
        searched = usage_objects.loose(self._provider_metadata(span).get("usage")).get("server_tool_use")
        if isinstance(searched, dict):
            return msgspec.structs.replace(
                found, quantities=usage_objects.quantities({"server_tool_use": searched})
            )
        return found

    def _name(self, span: Span) -> str:
        return values.text(span.attributes, _OPERATION) or span.name.partition(" ")[0]

    def _provider_metadata(self, span: Span) -> JSONObject:
        """Return what the provider's module tells of its own: ``{"openai": {"serviceTier": "default"}}``."""
        told = usage_objects.loose(span.attributes.get("ai.response.providerMetadata"))
        return next((own for own in told.values() if isinstance(own, dict) and own), {})


def _of_metadata(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{_METADATA}{name}" for name in known)
