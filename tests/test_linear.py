"""Time grows with the length of a text, and not with its square: whoever writes the text.

Every regular expression of the project is found and tried, so that the next one is, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from accounts.gateways import error_texts
from routescope.text import named_secrets, pasted, prose, redaction
from tasks.outcomes import privacy as task_privacy
from tests import discovery, linear
from tests.discovery import Found
from tests.secret_kinds import BY_SHAPE, NAMED, drawn

PATTERNS = discovery.patterns()


def test_patterns_are_found_wherever_they_stand() -> None:
    places = " ".join(PATTERNS)
    for module in ("text.redaction", "text.pasted", "text.formatting", "wire.json_parts"):
        assert f"routescope.{module}." in places
    assert "routescope.causes." in places
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


# --- Passes over a text ------------------------------------------------------------------------------------

PASSES: dict[str, Callable[[str], object]] = {
    "redacted": redaction.redacted,
    "redacted json": redaction.redacted_json,
    "name": redaction.without_secrets_in_name,
    "key of json": lambda text: redaction.redacted_json({text: text}),
    "key pasted": pasted.key_in,
    "id pasted": pasted.identifier,
    "task id pasted": partial(pasted.identifier, work="task"),
    "prose": prose.without_content,
    "address without prose": prose.address_without_prose,
    "long quotes": error_texts.without_long_quotes,
    "address of a task": task_privacy.address,
}
"""What is made of the whole of a text by code, which no pattern alone tells of."""
_MARKS = ("=", ": ", '="', '":"', " is ", "-", ".", "=***", "=a.", "：")


def _atoms() -> Iterator[str]:
    """Yield what begins a secret, of every kind, so that each next one begins within the one before."""
    names = (
        *named_secrets.NAMES,
        "api_key",
        "client_secret",
        "Cookie",
        "Authorization",
        "--password",
        "-u a:",
    )
    yield from (f"{name}{mark}" for name in names for mark in _MARKS)
    for template in (*BY_SHAPE.values(), *NAMED.values()):
        secret = drawn(template, "linear")[0]
        for length in (3, 6, 12, 24, len(secret)):
            yield from (f"{secret[:length]}{mark}" for mark in ("-", ".", "_", " ", "="))


ATOMS = sorted(set(_atoms()))


@pytest.mark.parametrize("name", sorted(PASSES))
def test_every_pass_is_linear(name: str) -> None:
    linear.check(PASSES[name], [partial(discovery.repeated, atom) for atom in ATOMS], bound=2)
