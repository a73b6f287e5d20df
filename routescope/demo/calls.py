"""One call of a workload, as the gateway would report it: sizes, times, price. Always a success here;
what goes wrong is written over it afterwards (`routescope.demo.failures`)."""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from routescope.demo.cast import Labels, WorkKind, Workload
from routescope.demo.prices import MODELS, Model, Tariff, tariff
from routescope.demo.records import JSONObject, RecordSent

CHANNELS = {
    "openai": ("openai-main", "azure-eastus2"),
    "anthropic": ("anthropic-main", "bedrock-us-west-2"),
    "google": ("google-main", "vertex-europe-west4"),
    "deepseek": ("deepseek-main", "deepseek-fallback"),
    "mistral": ("mistral-main", "azure-swedencentral"),
    "qwen": ("dashscope-intl", "dashscope-cn"),
}
"""Each provider's first and second channel at the gateway."""
_SILENT = ("azure-eastus2",)
"""Channels that tell no usage with a stream: the gateway counts its tokens itself."""

_IMAGE_TOKENS = {
    ("1024x1024", "low"): 272,
    ("1024x1024", "medium"): 1_056,
    ("1024x1024", "high"): 4_160,
    ("1024x1536", "low"): 408,
    ("1024x1536", "medium"): 1_584,
    ("1024x1536", "high"): 6_240,
    ("1536x1024", "low"): 400,
    ("1536x1024", "medium"): 1_568,
    ("1536x1024", "high"): 6_208,
}
"""Output tokens of an image (OpenAI, image generation guide)."""


class Offer(NamedTuple):
    """A model as one group buys it."""

    model: Model
    tariff: Tariff


class Usage(NamedTuple):
    """What a call consumed, in the terms of a record, and the same as charged."""

    input_tokens: int
    output_tokens: int = 0
    cached: int = 0
    cache_write: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    images: int | None = None
    audio_seconds: int | None = None
    characters: int | None = None

    def charged(self) -> tuple[tuple[str, int], ...]:
        """The tokens by the kind they are charged as. Each token is in one of them."""
        written, audio_in, audio_out = self.cache_write or 0, self.audio_input or 0, self.audio_output or 0
        return (
            ("input", self.input_tokens - self.cached - written - audio_in),
            ("cached_input", self.cached),
            ("cache_write", written),
            ("audio_input", audio_in),
            ("output", self.output_tokens - audio_out),
            ("audio_output", audio_out),
        )


class Caller:
    """Makes the calls of one workload."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        ratio: Decimal = workload.token.group.ratio
        self._offers = [Offer(MODELS[name], tariff(name, ratio)) for name in workload.models]
        total = sum(workload.models.values())
        self._weights = [weight / total for weight in itertools.accumulate(workload.models.values())]
        self._use = _USES[workload.work]
        self._input = math.log(workload.input_tokens[0]), workload.input_tokens[1]
        self._output = math.log(workload.output_tokens[0]), workload.output_tokens[1]

    def call(self, rng: random.Random, moment: datetime) -> RecordSent:
        """Draw a call that reaches the gateway at ``moment``, and succeeds."""
        event = self._call(rng, moment, self._offer(rng))
        if labels := self._workload.labels:
            # By the ID: what is drawn of the other calls does not depend on it.
            _label(event, labels[int(event.request_id[-6:], 16) % len(labels)])
        return event

    def session(self, rng: random.Random, moments: Sequence[datetime]) -> list[RecordSent]:
        """Draw the calls of one session: of one model, each with what was said before."""
        offer, identifier = self._offer(rng), f"sess_{rng.getrandbits(64):016x}"
        events = [
            self._call(rng, moment, offer, 0.35 + 0.08 * number) for number, moment in enumerate(moments)
        ]
        labels = self._workload.labels
        chosen = rng.choice(labels) if labels else None
        for event in events:
            event.session_id = identifier
            if chosen:
                _label(event, chosen)
        return events

    def _offer(self, rng: random.Random) -> Offer:
        return self._offers[bisect(self._weights, rng.random())]

    def _call(self, rng: random.Random, moment: datetime, offer: Offer, share: float = 1) -> RecordSent:
        """Draw a call of a model. Its input is ``share`` of the usual."""
        workload = self._workload
        model = offer.model
        parameters = rng.choice(workload.parameters)
        wanted = min(int(rng.lognormvariate(*self._input) * share) + 8, model.context * 7 // 8)
        answered = int(rng.lognormvariate(*self._output)) + 1
        usage = self._use(rng, workload, model, parameters, wanted, answered)
        streamed = rng.random() < workload.streamed
        ttft_ms, duration_ms = _times(rng, model, usage)
        request_id = f"req_{rng.getrandbits(96):024x}"
        address, client = rng.choice(workload.addresses), rng.choice(workload.clients)
        upstream_id = _upstream_id(rng, workload.work, model)
        channel = CHANNELS[model.provider][rng.random() < 0.12]
        estimated = streamed and channel in _SILENT
        if estimated:
            # Who counts texts knows neither what came from a cache nor what was thought.
            usage = usage._replace(cached=0, cache_write=None, reasoning=None)
        cost, billing = offer.tariff.charge(usage.charged())
        return RecordSent(
            request_id=request_id,
            created_at=moment,
            user=workload.token.user,
            token=workload.token.name,
            group=workload.token.group.name,
            model=model.name,
            stream=streamed,
            duration_ms=duration_ms,
            ttft_ms=ttft_ms if streamed else None,
            http_status=200,
            endpoint=_endpoint(workload.work, model, streamed),
            ip=address,
            user_agent=client,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached,
            cache_write_tokens=usage.cache_write,
            reasoning_tokens=usage.reasoning,
            audio_input_tokens=usage.audio_input,
            audio_output_tokens=usage.audio_output,
            image_count=usage.images,
            usage_estimated=estimated or None,
            audio_seconds=usage.audio_seconds,
            characters=usage.characters,
            cost=cost,
            billing=billing,
            parameters={**parameters, "stream": True} if streamed else parameters or None,
            upstream_request_id=upstream_id,
            provider=model.provider,
            channel=channel,
        )


def _label(event: RecordSent, labels: Labels) -> None:
    event.tags, event.metadata = labels.tags or None, labels.metadata


def _chat(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    cached, written = 0, None
    if rng.random() < workload.cached:
        # Providers cache whole blocks of a prompt's start.
        cached = int(input_tokens * rng.uniform(0.35, 0.95)) // 128 * 128
        if model.cache_write is not None:
            written = int((input_tokens - cached) * rng.uniform(0.2, 0.9))
    reasoning = None
    if model.reasoning:
        reasoning = int(output_tokens * model.reasoning * rng.uniform(0, 2))
    limit = parameters.get("max_tokens") or parameters.get("max_completion_tokens") or 16_384
    output_tokens = min(output_tokens, int(limit))
    return Usage(
        input_tokens,
        output_tokens,
        cached,
        written,
        None if reasoning is None else min(reasoning, output_tokens),
    )


def _embedding(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    return Usage(input_tokens)


def _image(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    images = int(parameters.get("n", 1))
    each = _IMAGE_TOKENS[parameters["size"], parameters.get("quality", "medium")]
    return Usage(input_tokens, each * images, images=images)


def _speech(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    # Some 4 characters a token, 150 words a minute, 20 audio tokens a second.
    seconds = max(1, round(input_tokens * 0.31))
    return Usage(
        input_tokens,
        seconds * 20,
        audio_output=seconds * 20,
        audio_seconds=seconds,
        characters=input_tokens * 4,
    )


def _transcription(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    # 10 audio tokens a second, some 3 words a second.
    seconds = max(1, input_tokens // 10)
    return Usage(seconds * 10, seconds * 4, audio_input=seconds * 10, audio_seconds=seconds)


def _voice(
    rng: random.Random,
    workload: Workload,
    model: Model,
    parameters: JSONObject,
    input_tokens: int,
    output_tokens: int,
) -> Usage:
    heard, said = int(input_tokens * rng.uniform(0.3, 0.7)), int(output_tokens * rng.uniform(0.6, 0.8))
    return Usage(input_tokens, output_tokens, audio_input=heard, audio_output=said)


_USES: dict[WorkKind, Callable[[random.Random, Workload, Model, JSONObject, int, int], Usage]] = {
    WorkKind.CHAT: _chat,
    WorkKind.EMBEDDING: _embedding,
    WorkKind.IMAGE: _image,
    WorkKind.SPEECH: _speech,
    WorkKind.TRANSCRIPTION: _transcription,
    WorkKind.VOICE: _voice,
}


def _times(rng: random.Random, model: Model, usage: Usage) -> tuple[int, int]:
    """Draw the time to the first token and the duration, in milliseconds.

    Reading uncached input takes some 30 ms per 1,000 tokens, and reasoning comes before the first token.
    """
    speed = model.tokens_per_second * rng.uniform(0.7, 1.25)
    reading = (usage.input_tokens - usage.cached) * 0.03
    reasoning = usage.reasoning or 0
    first = model.ttft_ms * rng.lognormvariate(0, 0.28) + reading + reasoning * 1000 / speed
    return int(first), int(first + (usage.output_tokens - reasoning) * 1000 / speed) + 1


def _endpoint(work: WorkKind, model: Model, streamed: bool) -> str:
    if work is WorkKind.CHAT and model.provider == "anthropic":
        return "/v1/messages"
    if model.provider == "google":
        if work is WorkKind.EMBEDDING:
            return f"/v1beta/models/{model.name}:embedContent"
        return f"/v1beta/models/{model.name}:{'streamGenerateContent' if streamed else 'generateContent'}"
    return _ENDPOINTS[work]


_ENDPOINTS = {
    WorkKind.CHAT: "/v1/chat/completions",
    WorkKind.EMBEDDING: "/v1/embeddings",
    WorkKind.IMAGE: "/v1/images/generations",
    WorkKind.SPEECH: "/v1/audio/speech",
    WorkKind.TRANSCRIPTION: "/v1/audio/transcriptions",
    WorkKind.VOICE: "/v1/chat/completions",
}


def _upstream_id(rng: random.Random, work: WorkKind, model: Model) -> str:
    bits = rng.getrandbits(96)
    if model.provider == "anthropic":
        return f"msg_01{bits:024x}"
    if model.provider == "google":
        return f"{bits:024x}"
    return f"chatcmpl-{bits:024x}" if work in (WorkKind.CHAT, WorkKind.VOICE) else f"req_up{bits:024x}"
