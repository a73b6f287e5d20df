"""Where the clients' environments lie, what is installed there, and what is kept of a run."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENTS = ROOT / "var" / "clients"
RESULTS = ENVIRONMENTS / "results"
NODE = "node"
TOKENS = ("input", "output", "cached", "written", "1h", "reasoning")
FIELDS = (*TOKENS, "cost", "status", "HTTP", "cause")
"""What is compared of each call."""


def command(environment: str) -> list[str]:
    """Return what runs a script of an environment."""
    if environment == NODE:
        return [os.environ.get("NODE", "node")]
    return [str(ENVIRONMENTS / environment / "bin" / "python")]


def versions(environment: str, packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed version of each package."""
    if environment == NODE:
        folder = ENVIRONMENTS / NODE / "node_modules"
        return {name: _npm_version(folder / name / "package.json") for name in packages}
    [libraries] = (ENVIRONMENTS / environment / "lib").glob("python3*/site-packages")
    found = {
        str(one.metadata["Name"]).lower().replace("_", "-"): one.version
        for one in metadata.distributions(path=[str(libraries)])
    }
    return {name: found[name] for name in packages}


def _npm_version(path: Path) -> str:
    return str(json.loads(path.read_text())["version"])
