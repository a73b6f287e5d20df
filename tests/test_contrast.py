"""Contrast as WCAG 2.1 counts it, worked out from the custom properties of the style sheets."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import pytest

CSS = Path(__file__).parent.parent / "static" / "css"
TOKENS = (CSS / "tokens.css").read_text()
GROUNDS = ("canvas", "sunken")
SCHEMES = ("light", "dark")
_OKLCH = r"oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)"


def luminance(lightness: float, chroma: float, hue: float) -> float:
    """Return the relative luminance of an oklch() colour (CSS Color 4), channels clipped to sRGB."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long, medium, short = (
        (lightness + x * a + y * b) ** 3
        for x, y in (
            (0.3963377774, 0.2158037573),
            (-0.1055613458, -0.0638541728),
            (-0.0894841775, -1.2914855480),
        )
    )
    rgb = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (min(max(one, 0.0), 1.0) for one in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colour(name: str, scheme: str) -> float:
    """Return the luminance of a custom property under a scheme."""
    both = re.search(rf"--{name}: light-dark\({_OKLCH}, {_OKLCH}\);", TOKENS)
    assert both, name
    parts = [float(part) for part in both.groups()]
    return luminance(*(parts[:3] if scheme == "light" else parts[3:]))


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def marks() -> set[str]:
    """Return what the chart's marks and their keys are filled and drawn with, gridlines apart."""
    sheet = (CSS / "chart.css").read_text()
    found = set()
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet):
        if (
            (".chart" not in selector and ".key" not in selector)
            or ".grid" in selector
            or "text {" in selector
        ):
            continue
        if re.search(r"\.chart-(?:tip|hint|note|table|legend|box|head|unit)\b", selector):
            continue
        found |= set(
            re.findall(r"^\s*(?:fill|stroke|background|border-top):[^;]*var\(--([\w-]+)\)", body, re.M)
        )
    return found - {"canvas", "accent-fill"}


def test_every_mark_of_the_chart_is_found() -> None:
    named = {"mark-requests", "mark-tokens", "mark-cost", "mark-errors", "mark-limited", "mark-ghost"}
    named |= {f"mark-part-{number}" for number in range(1, 6)} | {"mark-other"}
    assert named <= marks() <= {*named, "text", "text-3", "limit-text", "accent"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_mark_of_the_chart_stands_out_from_both_grounds(scheme: str) -> None:
    for mark in marks():
        for ground in GROUNDS:
            assert contrast(colour(mark, scheme), colour(ground, scheme)) >= 3, (mark, ground)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_parts_of_a_bar_that_meet_are_told_apart_by_their_lightness(scheme: str) -> None:
    """Without their hue, as few see it: a grey picture has them, too."""
    parts = [*(f"mark-part-{number}" for number in range(1, 6)), "mark-other"]
    for below, above in pairwise(parts):
        assert contrast(colour(below, scheme), colour(above, scheme)) >= 1.5, (below, above)


def test_no_colour_of_the_chart_is_written_beside_the_properties() -> None:
    assert "oklch(" not in (CSS / "chart.css").read_text()
