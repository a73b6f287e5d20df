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


LONGEST = 400
LANDED = {"accounts/migrations/0001_initial.py", "tasks/migrations/0001_initial.py"}
"""Migrations that were longer before there was such a rule; what has landed is never edited."""


def test_no_file_of_ours_is_longer_than_one_reads_at_a_time() -> None:
    places = ("*.py", "*.css", "*.js", "*.html", "*.sql", "*.toml", "*.md")
    folders = (*APPS, "tests", "templates", "static", "docs")
    files = [path for folder in folders for place in places for path in (ROOT / folder).rglob(place)]
    assert len(files) > 500
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name for name, length in lengths.items() if length > LONGEST} == LANDED


ROOT_OF_AN_APP = {"__init__", "apps", "urls", "jobs", "exports", "settings", "celery", "wsgi"}
"""Wiring, as Django, Celery and the frame look for it: it imports the rooms."""


@pytest.mark.parametrize("app", APPS)
def test_at_an_apps_root_stands_wiring_alone(app: str) -> None:
    assert {path.stem for path in (ROOT / app).glob("*.py")} <= ROOT_OF_AN_APP
