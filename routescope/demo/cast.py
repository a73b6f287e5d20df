"""Who uses the demo gateway, and for what: users, tokens, pricing groups and their workloads."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.records import JSONObject
from routescope.demo.rhythm import CONSUMER, NIGHTLY, OFFICE, STEADY, Career, Rhythm


@dataclass(frozen=True, slots=True)
class PricingGroup:
    """``ratio`` multiplies the price list."""

    name: str
    ratio: Decimal
    description: str


DEFAULT = PricingGroup("default", Decimal("1"), "List price")
VIP = PricingGroup("vip", Decimal("0.8"), "Committed use: 20% off, served first")
BATCH = PricingGroup("batch", Decimal("0.5"), "Off-peak work: half the price, lower limits")
GROUPS = (DEFAULT, VIP, BATCH)


@dataclass(frozen=True, slots=True)
class Token:
    """``rpm`` and ``tpm`` are what the gateway admits per minute; ``user`` is its name for the owner.

    ``status`` is one of ``accounts.models.ApiToken.Status``. ``models`` it may call, empty: any; it
    expires ``days`` after the end of the history; ``budget`` is USD a month.
    """

    user: str
    name: str
    group: PricingGroup
    rpm: int | None = None
    tpm: int | None = None
    status: str = "active"
    models: tuple[str, ...] = ()
    days: int | None = None
    budget: int | None = None


class WorkKind(enum.Enum):
    CHAT = enum.auto()
    EMBEDDING = enum.auto()
    IMAGE = enum.auto()
    SPEECH = enum.auto()
    TRANSCRIPTION = enum.auto()
    VOICE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One way a token is used. Rates are for a demo of 200,000 records over 90 days.

    ``input_tokens`` and ``output_tokens`` are a median and a log-normal spread; ``cached``, ``streamed``,
    ``retried`` and ``failing`` are shares of the calls; ``bursts`` is how many there are a day, and
    ``spikes`` are further ones, half as big again, at these ages before the end of the history.
    """

    token: Token
    per_day: float
    models: dict[str, float]
    work: WorkKind = WorkKind.CHAT
    rhythm: Rhythm = OFFICE
    utc_offset: int = 0
    career: Career = field(default_factory=Career)
    input_tokens: tuple[int, float] = (900, 0.9)
    output_tokens: tuple[int, float] = (240, 0.8)
    cached: float = 0.0
    streamed: float = 0.0
    retried: float = 0.012
    failing: float = 0.012
    bursts: float = 0.0
    burst_size: int = 0
    spikes: tuple[timedelta, ...] = ()
    clients: tuple[str, ...] = ("OpenAI/Python 2.8.1",)
    addresses: tuple[str, ...] = ("192.0.2.10",)
    parameters: tuple[JSONObject, ...] = ({},)


STOREFRONT = Token(
    DEMO_USER_EMAIL, "storefront-assistant", VIP, rpm=60, tpm=200_000, days=180,
    models=("gpt-5.4-mini", "claude-haiku-4-5", "gemini-3.5-flash-lite"),
)  # fmt: skip
PRODUCTION = Token(DEMO_USER_EMAIL, "api-production", DEFAULT, rpm=120, tpm=600_000)
NIGHTLY_JOBS = Token(DEMO_USER_EMAIL, "nightly-batch", BATCH, rpm=90, tpm=250_000)
STUDIO = Token(DEMO_USER_EMAIL, "studio", DEFAULT, rpm=20)
NOTEBOOK = Token(DEMO_USER_EMAIL, "notebook", DEFAULT, rpm=10, tpm=100_000, days=12, budget=50)
SEARCH_INDEX = Token(DEMO_USER_EMAIL, "search-index", DEFAULT, rpm=300, tpm=1_000_000)
PROTOTYPE = Token(DEMO_USER_EMAIL, "old-prototype", DEFAULT, rpm=30, status="disabled")
HELPDESK = Token("support-desk@example.com", "helpdesk-bot", VIP, rpm=60, tpm=200_000)
VOICE_LINE = Token("support-desk@example.com", "voice-line", DEFAULT, rpm=30)
EVALS = Token("research-team@example.net", "evals", BATCH, rpm=100, tpm=500_000)
CORPUS = Token("research-team@example.net", "corpus-embeddings", BATCH, rpm=200)
IOS = Token("mobile-app@example.org", "ios", DEFAULT, rpm=60, tpm=150_000)
ANDROID = Token("mobile-app@example.org", "android", DEFAULT, rpm=60, tpm=150_000)
CODER = Token("agents-lab", "coder", VIP, rpm=40, tpm=2_000_000)
MEDIA = Token("agents-lab", "media", DEFAULT, rpm=10)
INVOICES = Token("billing-service", "invoices", DEFAULT, rpm=30, tpm=100_000)
TRIAL = Token("trial-4821", "default", DEFAULT, rpm=3, tpm=10_000, status="exhausted")

_CREATIVE: JSONObject = {"temperature": 0.7, "top_p": 0.95, "max_tokens": 800}
_PRECISE: JSONObject = {"temperature": 0, "max_tokens": 1024, "response_format": {"type": "json_schema"}}
_THINKING: JSONObject = {"reasoning_effort": "medium", "max_completion_tokens": 8192}
_THINKING_HARD: JSONObject = {"reasoning_effort": "high", "max_completion_tokens": 16384}
_TOOLS: JSONObject = {"max_tokens": 8192, "tool_choice": "auto", "parallel_tool_calls": True}

WORKLOADS = (
    Workload(
        token=STOREFRONT,
        per_day=5_800,
        models={"gpt-5.4-mini": 5, "claude-haiku-4-5": 3, "gemini-3.5-flash-lite": 2},
        rhythm=CONSUMER,
        utc_offset=1,
        career=Career(begins=15),
        input_tokens=(1_650, 0.55),
        output_tokens=(230, 0.6),
        cached=0.66,
        streamed=0.94,
        failing=0.008,
        bursts=0.9,
        burst_size=58,
        spikes=(timedelta(hours=3, minutes=20), timedelta(days=1, hours=4), timedelta(days=8, hours=2)),
        clients=("ai-sdk/openai/2.0.71 runtime/node.js/22", "OpenAI/JS 6.9.1"),
        addresses=("203.0.113.17", "203.0.113.18", "2001:db8:17::5"),
        parameters=(_CREATIVE, {**_CREATIVE, "tool_choice": "auto"}),
    ),
    Workload(
        token=PRODUCTION,
        per_day=520,
        models={"gpt-5.2": 4, "claude-sonnet-5": 4, "gpt-4.1-mini": 3, "gemini-3.5-flash": 2},
        utc_offset=1,
        input_tokens=(2_400, 0.9),
        output_tokens=(420, 0.8),
        cached=0.45,
        streamed=0.55,
        retried=0.02,
        bursts=0.15,
        burst_size=85,
        clients=("OpenAI/Python 2.8.1", "Anthropic/Python 0.75.0", "python-httpx/0.28.1"),
        addresses=("198.51.100.4", "198.51.100.5"),
        parameters=(_THINKING, _PRECISE, _CREATIVE),
    ),
    Workload(
        token=NIGHTLY_JOBS,
        per_day=230,
        models={"deepseek-v4-flash": 4, "qwen3.7-plus": 3, "gpt-5-mini": 3},
        rhythm=NIGHTLY,
        input_tokens=(1_900, 0.5),
        output_tokens=(310, 0.5),
        cached=0.3,
        bursts=1.3,
        burst_size=105,
        clients=("python-httpx/0.28.1",),
        addresses=("198.51.100.77",),
        parameters=(_PRECISE,),
    ),
    Workload(
        token=STUDIO,
        per_day=46,
        models={"gpt-image-2": 1},
        work=WorkKind.IMAGE,
        rhythm=CONSUMER,
        utc_offset=1,
        input_tokens=(70, 0.6),
        failing=0.04,
        clients=("OpenAI/JS 6.9.1",),
        addresses=("203.0.113.40",),
        parameters=(
            {"size": "1024x1024", "quality": "medium", "output_format": "png"},
            {"size": "1536x1024", "quality": "high", "output_format": "webp"},
            {"size": "1024x1536", "quality": "low", "n": 2},
        ),
    ),
    Workload(
        token=STUDIO,
        per_day=24,
        models={"gpt-4o-mini-tts": 1},
        work=WorkKind.SPEECH,
        rhythm=CONSUMER,
        utc_offset=1,
        input_tokens=(160, 0.7),
        streamed=0.5,
        clients=("OpenAI/JS 6.9.1",),
        addresses=("203.0.113.40",),
        parameters=(
            {"voice": "coral", "response_format": "mp3"},
            {"voice": "sage", "response_format": "opus", "speed": 1.1},
        ),
    ),
    Workload(
        token=NOTEBOOK,
        per_day=30,
        models={"claude-opus-5": 4, "gpt-5.2": 3, "mistral-medium-3-5": 2, "deepseek-v4-flash": 1},
        utc_offset=1,
        input_tokens=(3_200, 1.2),
        output_tokens=(780, 0.9),
        streamed=0.7,
        failing=0.13,
        clients=("OpenAI/Python 2.8.1", "Anthropic/Python 0.75.0", "curl/8.7.1"),
        addresses=("192.0.2.141",),
        parameters=(_THINKING_HARD, _CREATIVE, {"max_tokens": 4096}, {"temperature": 1.0}),
    ),
    Workload(
        token=SEARCH_INDEX,
        per_day=250,
        models={"text-embedding-3-small": 1},
        work=WorkKind.EMBEDDING,
        rhythm=STEADY,
        input_tokens=(610, 0.7),
        failing=0.004,
        clients=("OpenAI/Python 2.8.1",),
        addresses=("198.51.100.21",),
        parameters=({"dimensions": 1536, "encoding_format": "base64"},),
    ),
    Workload(
        token=PROTOTYPE,
        per_day=90,
        models={"gpt-4.1-mini": 3, "mistral-medium-3-5": 1},
        career=Career(ends=38),
        utc_offset=1,
        failing=0.03,
        clients=("OpenAI/Python 1.109.1",),
        addresses=("192.0.2.141", "192.0.2.150"),
        parameters=(_CREATIVE,),
    ),
    Workload(
        token=HELPDESK,
        per_day=400,
        models={"claude-haiku-4-5": 5, "gpt-5.4-mini": 3},
        utc_offset=-5,
        input_tokens=(2_100, 0.6),
        output_tokens=(280, 0.6),
        cached=0.55,
        streamed=0.8,
        clients=("Anthropic/JS 0.70.1", "OpenAI/JS 6.9.1"),
        addresses=("203.0.113.90", "203.0.113.91"),
        parameters=(_CREATIVE, _TOOLS),
    ),
    Workload(
        token=VOICE_LINE,
        per_day=60,
        models={"gpt-4o-transcribe": 1},
        work=WorkKind.TRANSCRIPTION,
        utc_offset=-5,
        input_tokens=(700, 0.8),
        output_tokens=(150, 0.8),
        clients=("OpenAI/Python 2.8.1",),
        addresses=("203.0.113.92",),
        parameters=(
            {"language": "en", "response_format": "json"},
            {"language": "es", "response_format": "json"},
        ),
    ),
    Workload(
        token=VOICE_LINE,
        per_day=40,
        models={"gpt-audio-mini": 1},
        work=WorkKind.VOICE,
        utc_offset=-5,
        input_tokens=(420, 0.6),
        output_tokens=(260, 0.6),
        streamed=1.0,
        clients=("OpenAI/Python 2.8.1",),
        addresses=("203.0.113.92",),
        parameters=({"modalities": ["text", "audio"], "audio": {"voice": "verse", "format": "pcm16"}},),
    ),
    Workload(
        token=EVALS,
        per_day=150,
        models={"claude-opus-5": 2, "gpt-5.2": 3, "gemini-3.5-flash": 3, "qwen3.7-plus": 2},
        rhythm=STEADY,
        input_tokens=(1_300, 0.8),
        output_tokens=(900, 0.8),
        cached=0.2,
        failing=0.025,
        bursts=0.5,
        burst_size=95,
        clients=("python-httpx/0.28.1", "OpenAI/Python 2.8.1"),
        addresses=("192.0.2.200", "2001:db8:200::7"),
        parameters=(_THINKING, _PRECISE),
    ),
    Workload(
        token=CORPUS,
        per_day=180,
        models={"gemini-embedding-001": 1},
        work=WorkKind.EMBEDDING,
        rhythm=NIGHTLY,
        input_tokens=(780, 0.5),
        clients=("google-genai-sdk/1.52.0 gl-python/3.12.7",),
        addresses=("192.0.2.201",),
        parameters=({"outputDimensionality": 768, "taskType": "RETRIEVAL_DOCUMENT"},),
    ),
    Workload(
        token=IOS,
        per_day=230,
        models={"gemini-3.5-flash-lite": 4, "gpt-5-mini": 2},
        rhythm=CONSUMER,
        utc_offset=8,
        input_tokens=(520, 0.8),
        output_tokens=(190, 0.7),
        streamed=0.97,
        clients=("RoutescopeDemo/3.4 CFNetwork/3826.500.131 Darwin/25.0.0",),
        addresses=("2001:db8:8::1", "198.51.100.130"),
        parameters=(_CREATIVE,),
    ),
    Workload(
        token=ANDROID,
        per_day=310,
        models={"gemini-3.5-flash-lite": 3, "deepseek-v4-flash": 3, "qwen3.7-plus": 2},
        rhythm=CONSUMER,
        utc_offset=8,
        input_tokens=(480, 0.8),
        output_tokens=(180, 0.7),
        streamed=0.97,
        clients=("okhttp/4.12.0", "okhttp/5.1.0"),
        addresses=("2001:db8:8::2", "198.51.100.131"),
        parameters=(_CREATIVE,),
    ),
    Workload(
        token=CODER,
        per_day=260,
        models={"claude-sonnet-5": 6, "claude-opus-5": 2, "gpt-5.2": 1},
        utc_offset=-8,
        input_tokens=(14_000, 0.9),
        output_tokens=(650, 0.9),
        cached=0.9,
        streamed=1.0,
        failing=0.018,
        clients=("Anthropic/JS 0.70.1", "Anthropic/Python 0.75.0"),
        addresses=("192.0.2.60", "192.0.2.61", "192.0.2.62"),
        parameters=(_TOOLS,),
    ),
    Workload(
        token=INVOICES,
        per_day=75,
        models={"gpt-5-mini": 1},
        rhythm=NIGHTLY,
        utc_offset=-5,
        input_tokens=(3_600, 0.4),
        output_tokens=(520, 0.4),
        clients=("OpenAI/Python 2.8.1",),
        addresses=("198.51.100.200",),
        parameters=(_PRECISE,),
    ),
    Workload(
        token=TRIAL,
        per_day=14,
        models={"gpt-5-mini": 1, "gemini-3.5-flash-lite": 1},
        rhythm=CONSUMER,
        utc_offset=2,
        career=Career(begins=21),
        failing=0.05,
        clients=("curl/8.7.1", "PostmanRuntime/7.45.0"),
        addresses=("192.0.2.77",),
        parameters=({}, {"temperature": 0.9}),
    ),
)

TOKENS = tuple(dict.fromkeys([*(workload.token for workload in WORKLOADS), MEDIA]))
