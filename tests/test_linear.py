"""Time grows with the length of a text, and not with its square: whoever writes the text.

Every regular expression of the project is found and tried, so that the next one is, too.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests import discovery, linear
from tests.discovery import Found

PATTERNS = discovery.patterns()


def test_patterns_are_found_wherever_they_stand() -> None:
    places = " ".join(PATTERNS)
    for module in ("redaction", "pasted", "formatting", "json_parts"):
        assert f"routescope.{module}." in places
    assert "logs.cause_rules." in places
    assert len(PATTERNS) > 60


@pytest.mark.parametrize("place", sorted(PATTERNS))
def test_every_pattern_is_linear(place: str) -> None:
    found = PATTERNS[place]
    linear.check(lambda text: _tried(found, text), discovery.hard_for(found.pattern))


def _tried(found: Found, text: str) -> None:
    subject: Any = text if isinstance(found.pattern.pattern, str) else text.encode()
    if not found.only_matched:
        for _ in found.pattern.finditer(subject):
            pass
    found.pattern.match(subject)
    found.pattern.fullmatch(subject)
