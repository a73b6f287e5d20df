"""The structure tells itself: what holds of all files of the product."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("logs", "tasks", "accounts", "routescope")
OF_DJANGO = {"Command"}
"""What Django asks for by this name, in a module of each."""


@pytest.mark.parametrize("app", APPS)
def test_no_two_public_classes_of_an_app_have_one_name(app: str) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / app).rglob("*.py")):
        if "migrations" in path.parts:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert len(found) > 30
    twice = {name: paths for name, paths in found.items() if len(paths) > 1 and name not in OF_DJANGO}
    assert not twice
