"""What providers' own price pages say for one usage each: reckoned by hand from the page, never by our code.

A row: the provider and model as a gateway names them, what was used, the USD that it costs, the page and the
day of what it said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

M = 1_000_000
D = Decimal


@dataclass(frozen=True)
class Row:
    provider: str
    model: str
    used: dict[str, int | Decimal]
    usd: Decimal
    page: str
    read: str
    tier: str = ""
    asked: dict[str, object] = field(default_factory=dict)
    at: datetime = datetime(2026, 11, 26, 12, tzinfo=UTC)

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.provider, self.model, self.tier, f"{self.at:%Y-%m-%d %H:%M}")))


def tokens(given: int, made: int = 0, **more: int | Decimal) -> dict[str, int | Decimal]:
    """Return counts of so many tokens in and out, and of what is a part of them or beside."""
    return {"input_tokens": given, **({"output_tokens": made} if made else {}), **more}


_OPENAI = "https://developers.openai.com/api/docs/pricing"
_CLAUDE = "https://platform.claude.com/docs/en/about-claude/pricing"
_GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"
_DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"

FIRST_ROWS = (
    # OpenAI: tokens, cached, tiers, long prompts, audio, images, speech, tools
    Row(
        "openai",
        "gpt-5",
        tokens(10_000, 2_000, cached_tokens=4_000, reasoning_tokens=500),
        (6_000 * D("1.25") + 4_000 * D("0.125") + 2_000 * D(10)) / M,
        _OPENAI,
        "2026-10-14",
    ),
    Row("openai", "gpt-5", tokens(M, 100_000), D("0.625") + D("0.5"), _OPENAI, "2026-10-12", tier="flex"),
    Row("openai", "gpt-5", tokens(M, 100_000), D("2.5") + D("2"), _OPENAI, "2026-10-12", tier="priority"),
    Row(
        "openai",
        "gpt-5-mini",
        tokens(2_000, 300),
        (2_000 * D("0.125") + 300 * D(1)) / M,
        _OPENAI,
        "2026-10-14",
        tier="batch",
    ),
    Row(
        "openai",
        "gpt-5.4",
        tokens(300_000, 1_000, cached_tokens=100_000),
        (200_000 * D(5) + 100_000 * D("0.5") + 1_000 * D("22.5")) / M,
        _OPENAI,
        "2026-10-12",
    ),
    Row(
        "openai",
        "gpt-4.1-mini",
        tokens(1_234, 567),
        (1_234 * D("0.4") + 567 * D("1.6")) / M,
        _OPENAI,
        "2026-10-12",
    ),
    Row(
        "openai",
        "gpt-4o-audio-preview",
        tokens(1_000, 1_000, audio_input_tokens=900, audio_output_tokens=800),
        (100 * D("2.5") + 900 * D(40) + 200 * D(10) + 800 * D(80)) / M,
        "https://platform.openai.com/docs/pricing",
        "2025-06-03",
    ),
    Row(
        "openai",
        "gpt-audio-mini",
        tokens(420, 260, audio_input_tokens=400, audio_output_tokens=250),
        (20 * D("0.6") + 400 * D(10) + 10 * D("2.4") + 250 * D(20)) / M,
        _OPENAI,
        "2026-11-06",
    ),
    Row(
        "openai",
        "gpt-realtime",
        tokens(
            2_000,
            500,
            cached_tokens=800,
            audio_input_tokens=1_500,
            cached_audio_tokens=600,
            audio_output_tokens=450,
        ),
        # 600 cached audio, 200 cached text, 900 audio, 300 text
        (600 * D("0.4") + 200 * D("0.4") + 900 * D(32) + 300 * D(4) + 450 * D(64) + 50 * D(16)) / M,
        _OPENAI,
        "2026-10-14",
    ),
    Row(
        "openai",
        "gpt-image-1.5",
        tokens(1_200, 4_200, image_input_tokens=1_000, image_output_tokens=4_160, image_count=1),
        (200 * D(5) + 1_000 * D(8) + 4_160 * D(32) + 40 * D(10)) / M,
        _OPENAI,
        "2026-10-14",
    ),
    Row(
        "openai",
        "gpt-image-2",
        tokens(70, 3_000, image_count=2),
        (70 * D(5) + 3_000 * D(30)) / M,
        _OPENAI,
        "2026-10-14",
    ),
    Row(
        "openai",
        "dall-e-3",
        {"image_count": 2},
        2 * D("0.08"),
        "https://platform.openai.com/docs/pricing",
        "2025-06-03",
        asked={"size": "1024x1024", "quality": "hd"},
    ),
    Row(
        "openai",
        "whisper-1",
        {"audio_seconds": D("90.5")},
        D("90.5") * D("0.006") / 60,
        _OPENAI,
        "2026-11-06",
    ),
    Row("openai", "tts-1-hd", {"characters": 1_234}, 1_234 * D(30) / M, _OPENAI, "2026-11-06"),
    Row("openai", "text-embedding-3-small", tokens(1_000), 1_000 * D("0.02") / M, _OPENAI, "2026-10-14"),
    Row(
        "openai",
        "o4-mini",
        tokens(1_000, 400, web_search_count=3, file_search_count=2, code_session_count=1),
        (1_000 * D("1.1") + 400 * D("4.4")) / M + 3 * D("0.01") + 2 * D("0.0025") + D("0.03"),
        _OPENAI,
        "2026-10-14",
    ),
    Row("openai", "sora-2", {"video_seconds": 8}, 8 * D("0.10"), _OPENAI, "2026-03-28"),
    # Anthropic: both lifetimes of the cache, batches, web search
    Row(
        "anthropic",
        "claude-sonnet-4-5",
        tokens(10_000, 500, cache_write_tokens=8_000, cache_write_1h_tokens=8_000),
        (2_000 * D(3) + 8_000 * D(6) + 500 * D(15)) / M,
        _CLAUDE,
        "2026-10-14",
    ),
    Row(
        "anthropic",
        "claude-opus-4-5",
        tokens(50_000, 1_000, cached_tokens=40_000, cache_write_tokens=6_000, cache_write_1h_tokens=1_000),
        (4_000 * D(5) + 40_000 * D("0.5") + 5_000 * D("6.25") + 1_000 * D(10) + 1_000 * D(25)) / M,
        _CLAUDE,
        "2026-10-14",
    ),
    Row(
        "anthropic",
        "claude-haiku-4-5-20251001",
        tokens(M, 100_000),
        D("0.5") + D("0.25"),
        _CLAUDE,
        "2026-10-14",
        tier="batch",
    ),
    Row(
        "anthropic",
        "claude-sonnet-4-20250514",
        tokens(250_000, 1_000),
        (250_000 * D(6) + 1_000 * D("22.5")) / M,
        _CLAUDE,
        "2025-09-29",
        at=datetime(2025, 11, 3, tzinfo=UTC),
    ),
    Row(
        "anthropic",
        "claude-opus-4-1",
        tokens(3_000, 700, web_search_count=2),
        (3_000 * D(15) + 700 * D(75)) / M + 2 * D("0.01"),
        _CLAUDE,
        "2026-10-14",
    ),
    # Google: long prompts, audio, images in tokens, tiers, video by the second
    Row(
        "google",
        "gemini-2.5-pro",
        tokens(250_000, 2_000, cached_tokens=50_000),
        (200_000 * D("2.5") + 50_000 * D("0.25") + 2_000 * D(15)) / M,
        _GEMINI,
        "2026-10-14",
    ),
    Row(
        "google",
        "gemini-2.5-flash",
        tokens(5_000, 300, audio_input_tokens=4_000, reasoning_tokens=100),
        (1_000 * D("0.3") + 4_000 * D(1) + 300 * D("2.5")) / M,
        _GEMINI,
        "2026-10-14",
    ),
    Row(
        "google",
        "gemini-3.1-pro-preview",
        tokens(10_000, 1_000),
        (10_000 * D("3.6") + 1_000 * D("21.6")) / M,
        _GEMINI,
        "2026-11-06",
        tier="priority",
    ),
    Row(
        "google",
        "gemini-2.5-flash-image",
        tokens(60, 1_350, image_output_tokens=1_290, image_count=1),
        (60 * D("0.3") + 60 * D("2.5") + 1_290 * D(30)) / M,
        _GEMINI,
        "2026-10-14",
    ),
    Row("google", "veo-3.1-generate-001", {"video_seconds": 6}, 6 * D("0.40"), _GEMINI, "2026-11-06"),
    # DeepSeek: by the hour; each in its time
    Row(
        "deepseek",
        "deepseek-v4-flash",
        tokens(10_000, 1_000, cached_tokens=6_000),
        (4_000 * D("0.3") + 6_000 * D("0.006") + 1_000 * D("1.2")) / M,
        _DEEPSEEK,
        "2026-10-15",
        at=datetime(2026, 11, 26, 9, 59, tzinfo=UTC),
    ),
    Row(
        "deepseek",
        "deepseek-v4-flash",
        tokens(10_000, 1_000, cached_tokens=6_000),
        (4_000 * D("0.15") + 6_000 * D("0.003") + 1_000 * D("0.6")) / M,
        _DEEPSEEK,
        "2026-10-15",
        at=datetime(2026, 11, 26, 10, tzinfo=UTC),
    ),
    Row(
        "deepseek",
        "deepseek-chat",
        tokens(10_000, 1_000),
        (10_000 * D("0.28") + 1_000 * D("0.42")) / M,
        _DEEPSEEK,
        "2025-09-29",
        at=datetime(2026, 1, 5, 18, tzinfo=UTC),
    ),
    Row(
        "deepseek",
        "deepseek-reasoner",
        tokens(10_000, 1_000),
        (10_000 * D("0.135") + 1_000 * D("0.55")) / M,
        _DEEPSEEK,
        "2025-02-26",
        at=datetime(2025, 6, 1, 17, tzinfo=UTC),
    ),
)
