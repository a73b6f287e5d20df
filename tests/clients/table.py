"""Write docs/clients.md out of the last results: ``python -m tests.clients.table``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.clients.places import FIELDS, RESULTS, ROOT

PAGE = ROOT / "docs" / "clients.md"
_HEAD = """# Clients that are tried

Real clients, each in the version that is named, call a stand-in for their provider on this machine and tell a
running console of it: `make test-clients` installs and runs them, and writes this page. What each call used,
cost (USD, worked out by hand from the providers' prices) and how it failed is known before it is made
(`tests/clients/scenarios.py`). "Exact" is a call whose tokens of every kind, cost, status, HTTP status and
cause are stored as they are right, and which is one record, found by the ID that the client saw.

Calls that are not exact stand under their client. Where it does not export a value, what is stored stands in
brackets behind what is right, with the reason. An empty cell is 0, no failure or no HTTP status: clients tell
none of calls that succeed.
"""
_COLUMNS = ("input", "output", "cached", "written", "1h", "reasoning", "cost", "HTTP", "cause")


def main() -> None:
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    found.sort(key=lambda one: str(one["client"]).lower())
    lines = [_HEAD, *_summary(found)]
    for one in found:
        if section := list(_section(one)):
            lines += ["", f"## {one['client']}", "", *section]
    PAGE.write_text("\n".join(lines) + "\n")


def _summary(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| client | versions | calls | records | exact | not exported by the client | wrong |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        versions = ", ".join(f"{name} {version}" for name, version in one["versions"].items())
        missing = len(one["unheard"]) + sum(1 for row in one["rows"] if _missing(row) and not _wrong(row))
        wrong = sum(1 for row in one["rows"] if _wrong(row))
        exact = one["calls"] - missing - wrong
        cells = (one["client"], versions, one["calls"], one["records"], exact, missing or "", wrong or "")
        yield f"| {' | '.join(map(str, cells))} |"


def _section(one: dict[str, Any]) -> Iterator[str]:
    reasons = dict.fromkeys((*one["ids"], *(row["why"] for row in one["unheard"])), "")
    for row in one["rows"]:
        for field in _missing(row):
            reasons.setdefault(row["silent"][field], field)
    for why in reasons:
        yield f"- {why}"
    for row in one["unheard"]:
        yield f"- No record: {_name(row['call'])}"
    inexact = [row for row in one["rows"] if _missing(row) or _wrong(row)]
    if not inexact:
        return
    if reasons:
        yield ""
    yield f"| call | {' | '.join(_COLUMNS)} |"
    yield "|---" * (len(_COLUMNS) + 1) + "|"
    for row in inexact:
        yield f"| {_name(row['call'])} | {' | '.join(_cell(row, column) for column in _COLUMNS)} |"


def _name(call: dict[str, Any]) -> str:
    return f"{call['wire']} {call['api']}{' stream' if call['stream'] else ''}: {call['order']}"


def _cell(row: dict[str, Any], field: str) -> str:
    right, stored = row["expected"][field], row["stored"][field]
    plain = {"0": "", "NONE": ""}
    shown, kept = plain.get(right, right.lower()), plain.get(stored, stored.lower())
    if right == stored:
        return str(shown)
    return (
        f"{shown or 'none'} ({kept or 'none'})"
        if field in row["silent"]
        else f"{shown or 'none'}, **not {kept}**"
    )


def _missing(row: dict[str, Any]) -> list[str]:
    return [
        field for field in FIELDS if field in row["silent"] and row["expected"][field] != row["stored"][field]
    ]


def _wrong(row: dict[str, Any]) -> list[str]:
    return [
        field
        for field in FIELDS
        if field not in row["silent"] and row["expected"][field] != row["stored"][field]
    ]


if __name__ == "__main__":
    main()
    print(Path(PAGE).relative_to(ROOT))  # noqa: T201
