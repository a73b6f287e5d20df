"""Who uses the demo gateway, and how: users, tokens, pricing groups, and what a workload is."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from routescope.demo import DEMO_USER_EMAIL
from routescope.demo.records import JSONObject
from routescope.demo.rhythm import OFFICE, Career, Rhythm


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


@dataclass(frozen=True, slots=True)
class Labels:
    """What a caller sends beside its calls, for them to be found by."""

    tags: tuple[str, ...]
    metadata: JSONObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One way a token is used. Rates are for a demo of 200,000 records over 90 days.

    ``input_tokens`` and ``output_tokens`` are a median and a log-normal spread; ``cached``, ``streamed``,
    ``retried`` and ``failing`` are shares of the calls; ``bursts`` is how many there are a day, and
    ``spikes`` are further ones, half as big again, at these ages before the end of the history.

    Calls that belong together come in ``sessions`` of between so many; those of no session have none.
    ``labels`` are the tags and the metadata that the caller sends, one of them with each call or session, and
    ``falls_back`` is the model that answers at times where the one asked for is too busy.
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
    sessions: tuple[int, int] | None = None
    labels: tuple[Labels, ...] = ()
    falls_back: dict[str, str] = field(default_factory=dict)


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
