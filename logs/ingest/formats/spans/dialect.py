"""How a span tells of a model call: by the conventions, from which single instrumentations differ.

A `SpanDialect` reads one span. Each method is one question; a dialect of its own answers those otherwise in
which its instrumentation differs from the conventions. What the counts mean is decided elsewhere
(`logs.ingest.formats.counts`): a dialect says which parts it counts beside input and output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from logs.ingest.formats import call_types, counts, usage_objects
from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.spans import answers, names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.span import Span
from logs.models.events import JSONObject
from routescope.wire.reading import MAX_COUNT, MAX_TEXT

NOTHING: frozenset[str] = frozenset()
_FIRST_TOKEN_EVENTS = ("First Token Stream Event", "ai.stream.firstChunk", "gen_ai.first_token")
_BESIDE_PROVIDERS = ("anthropic", "aws.bedrock", "aws_bedrock", "bedrock", "amazon-bedrock")
_REQUEST = "gen_ai.request."
_NO_PARAMETERS = frozenset({"model", "stream", "id", "model_name", "_type"})


class SpanDialect:
    """The GenAI semantic conventions, old and new, and the names that others add to them."""

    scopes: tuple[str, ...] = ()
    """How the names of its instrumentation scopes begin."""
    marks: tuple[str, ...] = ()
    """Attributes that only its spans have, whatever their scope."""
    parts_beside: frozenset[str] | None = None
    """The parts that it always counts beside input and output; None: as the provider does."""
    is_total_a_sum = False
    """Whether the total is but the sum of input and output as they are told, and so tells nothing."""

    def speaks(self, span: Span) -> bool:
        """Tell whether a span is of this dialect."""
        named = bool(self.scopes) and span.scope.startswith(self.scopes)
        return named or any(mark in span.attributes for mark in self.marks)

    # --- What the span is ------------------------------------------------------------------------------

    def is_call(self, span: Span) -> bool:
        """Tell whether a span is one call of a model, not an agent, tool or workflow around such calls."""
        operation = self.operation(span)
        if operation in call_types.OTHER_OPERATIONS or call_types.is_no_call(operation):
            return False
        attributes = span.attributes
        named = values.text(attributes, names.RESPONSE_MODEL) or self.asked_model(span)
        if call_types.is_of_model(operation):
            return True
        if operation:
            # An operation of a later convention: a model is what makes it a call.
            return bool(named)
        used = values.first(attributes, names.INPUT + names.OUTPUT, int | float | str) is not None
        return bool(named) and (used or values.text(attributes, names.RESPONSE_ID) is not None)

    def operation(self, span: Span) -> str:
        """Return what was done, in small letters; empty where the span does not say."""
        return (values.text(span.attributes, names.OPERATION) or "").lower()

    # --- Who, what, where ------------------------------------------------------------------------------

    def response_id(self, span: Span, answer: GivenAnswer) -> str:
        """Return the ID of the answer, as the client saw it, whole; empty where there is none."""
        return values.identifier(span.attributes, names.RESPONSE_ID) or answer.id

    def call_id(self, span: Span) -> str:
        """Return the gateway's own ID of the call."""
        return values.identifier(span.attributes, names.CALL_ID)

    def provider_id(self, span: Span) -> str:
        """Return the ID that the provider gave the request, as its answer's headers have it."""
        if found := values.identifier(span.attributes, names.PROVIDER_ID):
            return found
        return next(
            (
                found
                for name in span.attributes
                if _is_of_provider(name) and (found := values.identifier(span.attributes, (name,)))
            ),
            "",
        )

    def model(self, span: Span, answer: GivenAnswer) -> str:
        """Return the model that answered, else the one that was asked for."""
        named = values.text(span.attributes, names.RESPONSE_MODEL) or values.text(
            {"model": answer.model}, ("model",)
        )
        return named or self.asked_model(span) or ""

    def asked_model(self, span: Span) -> str | None:
        """Return the model that was asked for; OpenInference may name it among the parameters alone."""
        return values.text(span.attributes, names.REQUEST_MODEL) or values.text(
            self.given(span), ("model", "model_name")
        )

    def provider(self, span: Span) -> str | None:
        return values.text(span.attributes, names.PROVIDER)

    def user(self, span: Span) -> str:
        return values.identifier(span.attributes, names.USER)

    def token(self, span: Span) -> str | None:
        """Return the key that was used, else the service that made the call."""
        return values.text(span.attributes, names.TOKEN) or values.text(span.resource, ("service.name",))

    def group(self, span: Span) -> str | None:
        return values.text(span.attributes, names.GROUP)

    def endpoint(self, span: Span) -> str | None:
        """Return the path that was called, else the operation."""
        return values.text(span.attributes, names.ENDPOINT, MAX_TEXT) or self.operation(span) or None

    def given(self, span: Span) -> JSONObject:
        """Return the parameters that come as one object."""
        for name in ("llm.invocation_parameters", "embedding.invocation_parameters", "model_parameters"):
            if found := usage_objects.loose(span.attributes.get(name)):
                return found
        return {}

    def parameters(self, span: Span) -> JSONObject:
        """Return what the request asked for, content among it."""
        named = {
            name.removeprefix(_REQUEST): value
            for name, value in span.attributes.items()
            if name.startswith(_REQUEST) and not name.startswith("gen_ai.request.header")
        }
        found = {**self.given(span), **named}
        tier = values.text(
            span.attributes, ("gen_ai.openai.request.service_tier", "anthropic.request.service_tier")
        )
        if tier:
            found.setdefault("service_tier", tier)
        return {name: value for name, value in found.items() if name not in _NO_PARAMETERS}

    def served_tier(self, span: Span, answer: GivenAnswer) -> str | None:
        """Return the service tier that the answer names."""
        return values.text(span.attributes, names.SERVED_TIER) or answer.service_tier

    # --- How much and how long -------------------------------------------------------------------------

    def told(self, span: Span, answer: GivenAnswer) -> Told:
        """Return the token counts as the span gives them, and which of them lie beside each other."""
        flat = self._flat(span.attributes)
        objects = [usage_objects.loose(span.attributes.get(name)) for name in names.USAGE_OBJECTS]
        inner = [usage_objects.told(found) for found in (*objects, answer.usage) if found]
        for told in inner:
            flat = completed(flat, told)
        flat.beside = flat.beside | self.beside(span, flat)
        model, provider = self.model(span, answer), self.provider(span) or ""
        flat.thinks_beyond = flat.thinks_beyond or counts.thinks_beyond(provider, model)
        if self.is_total_a_sum and flat.total == (flat.input or 0) + (flat.output or 0):
            flat.total = None
        return flat

    def _flat(self, attributes: Mapping[str, Any]) -> Told:
        return Told(
            input=values.count(attributes, names.INPUT),
            output=values.count(attributes, names.OUTPUT),
            total=values.count(attributes, names.TOTAL),
            cached=values.count(attributes, names.CACHED),
            written=values.count(attributes, names.WRITTEN),
            written_5m=values.count(attributes, names.WRITTEN_5M),
            written_1h=values.count(attributes, names.WRITTEN_1H),
            reasoning=values.count(attributes, names.REASONING),
            audio_input=values.count(attributes, names.AUDIO_INPUT),
            audio_output=values.count(attributes, names.AUDIO_OUTPUT),
            cached_audio=values.count(attributes, names.CACHED_AUDIO),
            image_input=values.count(attributes, names.IMAGE_INPUT),
            image_output=values.count(attributes, names.IMAGE_OUTPUT),
            tool_input=values.count(attributes, names.TOOL_INPUT),
        )

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        """Return the parts that lie beside input and output, where nothing in the counts decides.

        The conventions' names with dots mean included counts; under older names Anthropic's and Bedrock's
        own counts are handed on as they come.
        """
        if self.parts_beside is not None:
            return self.parts_beside
        if values.count(span.attributes, names.CACHED_DOTTED + names.WRITTEN_DOTTED):
            return NOTHING
        provider = (self.provider(span) or "").lower()
        return CACHE if provider.startswith(_BESIDE_PROVIDERS) else NOTHING

    def quantities(self, span: Span, answer: GivenAnswer) -> dict[str, int | float]:
        """Return what was used beside tokens, by the names of a record's quantities."""
        found: dict[str, int | float] = {}
        for name in reversed(names.USAGE_OBJECTS):
            found |= usage_objects.quantities(usage_objects.loose(span.attributes.get(name)))
        return {**found, **usage_objects.quantities(answer.usage), **answer.quantities}

    def cost(self, span: Span) -> Any:
        """Return the cost in USD as it was sent; None where none was."""
        return values.first(span.attributes, names.COST, int | float | str)

    def stream(self, span: Span) -> bool | None:
        found = values.flag(span.attributes, names.STREAM)
        asked = self.given(span).get("stream")
        return found if found is not None else asked if isinstance(asked, bool) else None

    def first_token_ms(self, span: Span) -> int | None:
        """Return the time to the first token in milliseconds; the conventions give seconds."""
        ms = values.first(span.attributes, names.FIRST_TOKEN_MS, int | float)
        if ms is None and (seconds := self._seconds_to_first_token(span)) is not None:
            ms = seconds * 1000
        if ms is not None:
            return round(ms) if 0 <= ms < MAX_COUNT else None
        for happened in span.events:
            if happened.name in _FIRST_TOKEN_EVENTS and happened.time_ns >= span.start_ns:
                return min((happened.time_ns - span.start_ns) // 1_000_000, MAX_COUNT)
        return None

    def _seconds_to_first_token(self, span: Span) -> Any:
        return values.first(span.attributes, names.FIRST_TOKEN_SECONDS, int | float)

    # --- What was said ---------------------------------------------------------------------------------

    def answer(self, span: Span) -> GivenAnswer:
        """Return what the answer itself tells, where the span holds it whole."""
        return answers.read(values.first(span.attributes, ("output.value", "gen_ai.completion"), str))

    def has_failed(self, span: Span) -> bool:
        """Tell whether the span itself says that it failed."""
        return span.failed

    def error(self, span: Span) -> TakenApart:
        """Return what the dialect's own attributes say of an error."""
        return TakenApart()


def _is_of_provider(name: str) -> bool:
    """Tell whether an attribute is a header of the answer with the provider's ID; underscores may stand for
    its hyphens."""
    before, _, header = name.lower().rpartition(".")
    if before.endswith("response.header"):
        header = header.replace("_", "-")
    return header in names.PROVIDER_HEADERS and not before.endswith("request.header")


def completed(known: Told, more: Told) -> Told:
    """Return counts with those of a usage object for what they lack.

    Where both tell the same input, what lies beside it in the object does so here.
    """
    same = known.input in (None, more.input) and known.output in (None, more.output)
    changes: dict[str, Any] = {
        name: getattr(more, name)
        for name in known.__struct_fields__
        if not isinstance(getattr(known, name), frozenset | bool)
        and not getattr(known, name)
        and getattr(more, name) is not None
        and (same or name != "total")
    }
    if same:
        changes["beside"] = known.beside | more.beside
    changes["thinks_beyond"] = known.thinks_beyond or more.thinks_beyond
    return msgspec.structs.replace(known, **changes)
