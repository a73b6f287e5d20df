"""OpenInference (Arize).

Source: openinference-semantic-conventions 0.1.42, openinference-instrumentation-anthropic 3.1, -bedrock
0.1.61, -langchain 0.1.80, -openai 0.1.66. What wraps a client's requests wraps retrievals too: a call of a
model asks for one, a retrieval has but the answer.
"""

from __future__ import annotations

from logs.ingest.formats import usage_objects
from logs.ingest.formats.counts import CACHE, Told
from logs.ingest.formats.failures import TakenApart
from logs.ingest.formats.spans import names, values
from logs.ingest.formats.spans.answers import GivenAnswer
from logs.ingest.formats.spans.dialect import NOTHING, SpanDialect
from logs.ingest.formats.spans.span import Span

_KIND = ("openinference.span.kind",)
_ASKED = frozenset(
    {"model", "messages", "input", "prompt", "file", "image", "contents", "voice", "documents"}
)
"""What requests to models have, of which a retrieval has nothing."""


class OpenInference(SpanDialect):
    """Adds up Anthropic's counts itself."""

    scopes = ("openinference.",)
    marks: tuple[str, ...] = _KIND
    parts_beside = NOTHING

    def is_call(self, span: Span) -> bool:
        return super().is_call(span) and not self._is_retrieval(span)

    def operation(self, span: Span) -> str:
        return (values.text(span.attributes, (*_KIND, *names.OPERATION)) or "").lower()

    def endpoint(self, span: Span) -> str | None:
        return values.text(span.attributes, names.ENDPOINT) or self.operation(span) or None

    def error(self, span: Span) -> TakenApart:
        return _error_of(self.answer(span))

    def _is_retrieval(self, span: Span) -> bool:
        if not span.scope.startswith("openinference.instrumentation.openai"):
            return False
        if any(name.startswith("llm.input_messages.") for name in span.attributes):
            return False
        given = span.attributes.get("input.value")
        # The input may be hidden, which is no object then.
        is_shown = isinstance(given, str) and given.lstrip().startswith("{")
        asked = {**usage_objects.loose(given), **self.given(span)}
        return is_shown and _ASKED.isdisjoint(asked)


def _error_of(answer: GivenAnswer) -> TakenApart:
    return answer.error or TakenApart()


class OpenInferenceBedrock(OpenInference):
    """Hands on the counts of ``InvokeModel`` of Nova, and what it calls total may be but their sum.

    Those of Converse it adds up (before version 0.1.61 its total told what lies beside), and of other models'
    ``InvokeModel`` it tells no total.
    """

    scopes = ("openinference.instrumentation.bedrock",)
    marks: tuple[str, ...] = ()
    is_total_a_sum = True

    def speaks(self, span: Span) -> bool:
        return super().speaks(span) and not span.name.startswith("bedrock.converse")

    def beside(self, span: Span, told: Told) -> frozenset[str]:
        return NOTHING if told.total is None else CACHE
