"""Requests recorded from real clients: ``../shared/captures``, where it is there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "captures"
needed = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="The recorded requests (../shared/captures) are not on this machine."
)


@dataclass(frozen=True)
class Capture:
    """A request as a client sent it."""

    body: bytes
    headers: dict[str, str]


def load(name: str) -> Capture:
    """Return a capture, ``litellm/json_array`` say."""
    described = json.loads((FOLDER / f"{name}.headers.json").read_text())
    return Capture(
        body=(FOLDER / name).with_name(described["body_file"]).read_bytes(),
        headers={key.lower(): value for key, value in described["headers"]},
    )


def names(folder: str) -> list[str]:
    """Return the captures in a folder; none where there are no captures, so that tests can be collected."""
    return [
        f"{folder}/{path.name.removesuffix('.headers.json')}"
        for path in sorted((FOLDER / folder).glob("*.headers.json"))
    ]
