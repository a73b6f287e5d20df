"""Usage, and how each dialect of spans tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.dialects import written

Attributes = dict[str, Any]
COUNT = st.one_of(st.just(0), st.integers(0, 12), st.integers(0, 1_000_000))


@dataclass(frozen=True)
class Usage:
    """Parts that do not overlap; but audio and images are parts of ``fresh``, ``cached`` and ``said``."""

    fresh: int
    cached: int
    written_5m: int
    written_1h: int
    said: int
    thought: int
    heard: int = 0
    cached_heard: int = 0
    seen: int = 0
    spoken: int = 0
    drawn: int = 0

    @property
    def written(self) -> int:
        return self.written_5m + self.written_1h

    @property
    def given(self) -> int:
        return self.fresh + self.cached + self.written

    @property
    def made(self) -> int:
        return self.said + self.thought

    @property
    def total(self) -> int:
        return self.given + self.made


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    fresh, cached, said = draw(COUNT), draw(COUNT), draw(COUNT)
    cached_heard, heard = draw(st.integers(0, cached)), draw(st.integers(0, fresh))
    spoken = draw(st.integers(0, said))
    return Usage(
        fresh, cached, draw(COUNT), draw(COUNT), said, draw(COUNT),
        heard=heard + cached_heard, cached_heard=cached_heard, seen=draw(st.integers(0, fresh - heard)),
        spoken=spoken, drawn=draw(st.integers(0, said - spoken)),
    )  # fmt: skip


CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
PARTS = ("heard", "cached_heard", "seen", "spoken", "drawn")
CACHE = ("cached", "written_5m", "written_1h")


def conventions(used: Usage) -> Attributes:
    return {
        **CHAT,
        "gen_ai.usage.input_tokens": used.given,
        "gen_ai.usage.output_tokens": used.made,
        "gen_ai.usage.cache_read.input_tokens": used.cached,
        "gen_ai.usage.cache_creation.input_tokens": used.written,
        "gen_ai.usage.reasoning.output_tokens": used.thought,
    }


def by_kind(used: Usage) -> Attributes:
    return {
        **conventions(used),
        "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens": used.written_5m,
        "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens": used.written_1h,
        "gen_ai.usage.audio.input_tokens": used.heard,
        "gen_ai.usage.audio.cache_read.input_tokens": used.cached_heard,
        "gen_ai.usage.audio.output_tokens": used.spoken,
        "gen_ai.usage.image.input_tokens": used.seen,
        "gen_ai.usage.image.output_tokens": used.drawn,
    }


def old_names(used: Usage) -> Attributes:
    return {
        "llm.request.type": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.prompt_tokens": used.given,
        "gen_ai.usage.completion_tokens": used.made,
        "llm.usage.total_tokens": used.total,
        "gen_ai.usage.cache_read_input_tokens": used.cached,
        "gen_ai.usage.reasoning_tokens": used.thought,
    }


def anthropics_own(used: Usage) -> Attributes:
    return {
        **CHAT,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": used.fresh,
        "gen_ai.usage.output_tokens": used.made,
        "gen_ai.usage.cache_read_input_tokens": used.cached,
        "gen_ai.usage.cache_creation_input_tokens": used.written,
    }


def with_a_total(used: Usage) -> Attributes:
    return {**anthropics_own(used), "gen_ai.usage.total_tokens": used.total}


def openllmetry_anthropic(used: Usage) -> Attributes:
    return {**conventions(used), "gen_ai.system": "anthropic", "gen_ai.usage.total_tokens": used.total}


def openllmetry_bedrock(used: Usage) -> Attributes:
    counted = {"gen_ai.usage.input_tokens": used.fresh}
    return {**conventions(used), **counted, "gen_ai.usage.total_tokens": used.fresh + used.made}


def openllmetry_gemini(used: Usage) -> Attributes:
    return {
        **CHAT,
        "gen_ai.usage.input_tokens": used.given,
        "gen_ai.usage.output_tokens": used.said,
        "llm.usage.total_tokens": used.total,
    }


def botocore(used: Usage) -> Attributes:
    return {**conventions(used), "gen_ai.usage.input_tokens": used.fresh}


def openinference(used: Usage) -> Attributes:
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "llm.provider": "anthropic",
        "llm.token_count.prompt": used.given,
        "llm.token_count.completion": used.made,
        "llm.token_count.prompt_details.cache_read": used.cached,
        "llm.token_count.prompt_details.cache_write": used.written,
        "llm.token_count.completion_details.reasoning": used.thought,
        "llm.token_count.prompt_details.audio": used.heard,
        "llm.token_count.completion_details.audio": used.spoken,
    }


def openinference_total(used: Usage) -> Attributes:
    return {**openinference(used), "llm.token_count.total": used.total}


def converse(used: Usage) -> Attributes:
    counted = {"llm.token_count.prompt": used.fresh, "llm.token_count.total": used.total}
    return {**openinference(used), **counted, "llm.provider": "aws"}


def nova_stream(used: Usage) -> Attributes:
    return {**converse(used), "llm.token_count.total": used.fresh + used.made}


def in_the_answer(used: Usage) -> Attributes:
    usage = {
        "input_tokens": used.given,
        "output_tokens": used.made,
        "total_tokens": used.total,
        "input_tokens_details": {"cached_tokens": used.cached, "image_tokens": used.seen},
        "output_tokens_details": {"image_tokens": used.drawn},
    }
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
        "output.value": written({"created": 1, "data": [], "usage": usage}),
    }


def anthropic_usage(used: Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.fresh,
        "output_tokens": used.made,
        "cache_read_input_tokens": used.cached,
        "cache_creation_input_tokens": used.written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.written_5m,
            "ephemeral_1h_input_tokens": used.written_1h,
        },
    }


def openai_usage(used: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.given,
        "completion_tokens": used.made,
        "total_tokens": used.total,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": used.heard},
        "completion_tokens_details": {"reasoning_tokens": used.thought, "audio_tokens": used.spoken},
    }


def logfire(used: Usage) -> Attributes:
    flat = {"gen_ai.usage.input_tokens": used.given, "gen_ai.usage.output_tokens": used.made}
    return {**CHAT, **flat, "gen_ai.system": "anthropic", "gen_ai.usage.raw": written(anthropic_usage(used))}


def logfire_openai(used: Usage) -> Attributes:
    flat = {"gen_ai.usage.input_tokens": used.given, "gen_ai.usage.output_tokens": used.made}
    return {**CHAT, **flat, "gen_ai.usage.raw": written(openai_usage(used))}


def pydantic_ai(used: Usage) -> Attributes:
    return {
        **CHAT,
        "gen_ai.system": "anthropic",
        "gen_ai.usage.input_tokens": used.given,
        "gen_ai.usage.output_tokens": used.made,
        "gen_ai.usage.details.cache_read_tokens": used.cached,
        "gen_ai.usage.details.cache_write_tokens": used.written,
        "gen_ai.usage.details.reasoning_tokens": used.thought,
    }


def litellm_raw(used: Usage) -> Attributes:
    return {"llm.openai.model": "m", "llm.openai.usage": str(openai_usage(used)), "llm.openai.choices": "[]"}


def litellm_raw_anthropic(used: Usage) -> Attributes:
    usage = str(anthropic_usage(used))
    return {"llm.anthropic.model": "m", "llm.anthropic.usage": usage, "llm.anthropic.content": "[]"}


def vercel(used: Usage) -> Attributes:
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "m",
        "ai.model.provider": "openai.responses",
        "ai.usage.inputTokens": used.given,
        "ai.usage.outputTokens": used.made,
        "ai.usage.totalTokens": used.total,
        "ai.usage.cachedInputTokens": used.cached,
        "ai.usage.reasoningTokens": used.thought,
    }


def vercel_anthropic(used: Usage) -> Attributes:
    own = {"usage": anthropic_usage(used), "cacheCreationInputTokens": used.written}
    return {
        **vercel(used),
        "ai.model.provider": "anthropic.messages",
        "ai.usage.inputTokens": used.fresh,
        "ai.usage.totalTokens": used.fresh + used.made,
        "ai.response.providerMetadata": written({"anthropic": own}),
    }


def vercel_6(used: Usage) -> Attributes:
    return {
        **vercel(used),
        "ai.model.provider": "anthropic.messages",
        "ai.usage.inputTokenDetails.noCacheTokens": used.fresh,
        "ai.usage.inputTokenDetails.cacheReadTokens": used.cached,
        "ai.usage.inputTokenDetails.cacheWriteTokens": used.written,
        "ai.usage.outputTokenDetails.reasoningTokens": used.thought,
    }


def langchain_usage(used: Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.given,
        "output_tokens": used.made,
        "total_tokens": used.total,
        "input_token_details": {
            "cache_read": used.cached, "cache_creation": used.written, "audio": used.heard,
        },
        "output_token_details": {"reasoning": used.thought, "audio": used.spoken},
    }  # fmt: skip


def langsmith(used: Usage) -> Attributes:
    told = written(langchain_usage(used))
    return {"langsmith.span.kind": "llm", "langsmith.metadata.usage_metadata": told}


def langsmith_details(used: Usage) -> Attributes:
    usage = langchain_usage(used)
    return {
        "langsmith.span.kind": "llm",
        "gen_ai.usage.input_tokens": used.given,
        "gen_ai.usage.output_tokens": used.made,
        "gen_ai.usage.total_tokens": used.total,
        "gen_ai.usage.input_token_details": str(usage["input_token_details"]),
        "gen_ai.usage.output_token_details": str(usage["output_token_details"]),
    }


def semantic_kernel(used: Usage) -> Attributes:
    counted = {
        "gen_ai.response.prompt_tokens": used.given,
        "gen_ai.response.completion_tokens": used.made,
    }
    return {"gen_ai.operation.name": "chat.completions", "gen_ai.request.model": "m", **counted}


def strands(used: Usage) -> Attributes:
    return {
        **CHAT,
        "gen_ai.system": "strands-agents",
        "gen_ai.usage.input_tokens": used.fresh,
        "gen_ai.usage.output_tokens": used.made,
        "gen_ai.usage.total_tokens": used.total,
        "gen_ai.usage.cache_read_input_tokens": used.cached,
        "gen_ai.usage.cache_write_input_tokens": used.written,
    }


def gemini(used: Usage) -> Attributes:
    usage = {
        "promptTokenCount": used.given,
        "cachedContentTokenCount": used.cached,
        "candidatesTokenCount": used.said,
        "thoughtsTokenCount": used.thought,
        "totalTokenCount": used.total,
        "promptTokensDetails": [
            {"modality": "AUDIO", "tokenCount": used.heard},
            {"modality": "IMAGE", "tokenCount": used.seen},
        ],
        "candidatesTokensDetails": [
            {"modality": "AUDIO", "tokenCount": used.spoken},
            {"modality": "IMAGE", "tokenCount": used.drawn},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": used.cached_heard}],
    }
    return {**CHAT, "gen_ai.usage.raw": written(usage)}
