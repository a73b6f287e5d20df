"""What providers' own price pages say: the further part of the table, see `tests.price_pages`."""

from __future__ import annotations

from datetime import UTC, datetime  # noqa: F401
from decimal import Decimal

from tests.price_pages import FIRST_ROWS, M, Row, tokens

D = Decimal
_MISTRAL = "https://mistral.ai/pricing/api"
_XAI = "https://docs.x.ai/developers/pricing"
_GROQ = "https://console.groq.com/docs/models"
_QWEN = "https://www.alibabacloud.com/help/en/model-studio/models"
_KIMI = "https://platform.kimi.ai/docs/pricing/chat"
_MINIMAX = "https://platform.minimax.io/docs/guides/pricing-paygo"
_KLING = "https://kling.ai/dev/pricing"
_BFL = "https://bfl.ai/pricing"

ROWS = (
    *FIRST_ROWS,
    # Mistral, xAI, Groq, Perplexity, Cohere
    Row(
        "mistral",
        "mistral-medium-3-5",
        tokens(3_200, 780, cached_tokens=1_200),
        (2_000 * D("1.5") + 1_200 * D("0.15") + 780 * D("7.5")) / M,
        _MISTRAL,
        "2026-10-14",
    ),
    Row(
        "mistral",
        "mistral-ocr-2512",
        {"pages": 7},
        7 * D("0.002"),
        "https://docs.mistral.ai/models/ocr-3-25-12",
        "2026-10-14",
    ),
    Row("xai", "grok-4.7", tokens(200_000, 1_000), (200_000 * D(4) + 1_000 * D(12)) / M, _XAI, "2026-11-06"),
    Row(
        "x_ai",
        "grok-code-fast-1",
        tokens(9_000, 800, cached_tokens=5_000),
        (4_000 * D("0.2") + 5_000 * D("0.02") + 800 * D("1.5")) / M,
        _XAI,
        "2026-10-14",
    ),
    Row(
        "groq",
        "llama-3.3-70b-versatile",
        tokens(1_000, 200),
        (1_000 * D("0.59") + 200 * D("0.79")) / M,
        _GROQ,
        "2026-10-14",
    ),
    Row("groq", "whisper-large-v3", {"audio_seconds": 4}, 10 * D("0.111") / 3600, _GROQ, "2025-08-05"),
    Row(
        "perplexity",
        "sonar-pro",
        tokens(1_000, 100),
        (1_000 * D(3) + 100 * D(15)) / M + D("0.006"),
        "https://docs.perplexity.ai/getting-started/pricing",
        "2025-07-05",
    ),
    Row(
        "perplexity",
        "sonar",
        tokens(500, 500),
        1_000 * D(1) / M + D("0.012"),
        "https://docs.perplexity.ai/getting-started/pricing",
        "2025-07-05",
        asked={"web_search_options": {"search_context_size": "high"}},
    ),
    Row(
        "cohere",
        "command-r-plus-08-2024",
        tokens(2_000, 300),
        (2_000 * D("2.5") + 300 * D(10)) / M,
        "https://cohere.com/pricing",
        "2026-10-14",
    ),
    # Bedrock, and makers in China
    Row(
        "aws.bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        tokens(1_000, 100),
        (1_000 * D("3.3") + 100 * D("16.5")) / M,
        "https://aws.amazon.com/bedrock/pricing/",
        "2026-10-14",
    ),
    Row(
        "bedrock",
        "amazon.nova-lite-v1:0",
        tokens(10_000, 1_000),
        (10_000 * D("0.06") + 1_000 * D("0.24")) / M,
        "https://aws.amazon.com/bedrock/pricing/",
        "2026-10-14",
    ),
    Row(
        "zai",
        "glm-4.6",
        tokens(10_000, 1_000, cached_tokens=2_000),
        (8_000 * D("0.6") + 2_000 * D("0.11") + 1_000 * D("2.2")) / M,
        "https://docs.z.ai/guides/overview/pricing",
        "2026-10-14",
    ),
    Row(
        "moonshot",
        "kimi-k3",
        tokens(10_000, 500, cache_write_tokens=4_000, cache_write_1h_tokens=1_000),
        (6_000 * D(3) + 3_000 * D(3) + 1_000 * D(6) + 500 * D(15)) / M,
        f"{_KIMI}-k3.md",
        "2026-10-15",
    ),
    Row(
        "qwen",
        "qwen3.7-plus",
        tokens(300_000, 1_000, cached_tokens=100_000),
        (200_000 * D("1.2") + 100_000 * D("0.24") + 1_000 * D("4.8")) / M,
        _QWEN,
        "2026-11-06",
    ),
    Row(
        "minimax",
        "MiniMax-M2",
        tokens(4_000, 900, cached_tokens=1_000),
        (3_000 * D("0.3") + 1_000 * D("0.03") + 900 * D("1.2")) / M,
        _MINIMAX,
        "2026-10-15",
    ),
    Row(
        "hailuo",
        "MiniMax-Hailuo-02",
        {"video_seconds": 10},
        D("0.56"),
        _MINIMAX,
        "2025-10-28",
        asked={"resolution": "768P", "duration": 10},
    ),
    # By the second, the image and the character
    Row(
        "kling",
        "kling-v2-5-turbo",
        {"video_seconds": 10},
        D("0.70"),
        _KLING,
        "2025-10-28",
        asked={"mode": "pro"},
    ),
    Row(
        "kling",
        "kling-v3",
        {"video_seconds": 5},
        5 * D("0.168"),
        _KLING,
        "2026-05-29",
        asked={"mode": "pro", "sound": "on"},
    ),
    Row(
        "runwayml",
        "gen4_turbo",
        {"video_seconds": 5},
        5 * D("0.05"),
        "https://docs.dev.runwayml.com/guides/pricing/",
        "2026-10-05",
    ),
    Row("bfl", "flux-pro-1.1", {"image_count": 3}, 3 * D("0.04"), _BFL, "2026-11-06"),
    Row(
        "elevenlabs",
        "eleven_multilingual_v2",
        {"characters": 2_500},
        2_500 * D("0.08") / 1000,
        "https://elevenlabs.io/pricing/api",
        "2026-11-06",
    ),
    Row(
        "dashscope",
        "wan2.5-t2v-preview",
        {"video_seconds": 5},
        5 * D("0.10"),
        "https://www.alibabacloud.com/help/en/model-studio/wan2-5-t2v",
        "2025-11-06",
        asked={"size": "1280*720"},
    ),
)
