"""JSON of others is read in one place, which nothing in it can break; and nobody reads it elsewhere."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routescope.wire import strict_json
from routescope.wire.strict_json import JSONError, decode
from tests.pace import at_rest

ROOT = Path(__file__).parent.parent
DEEP = 100_000

REFUSED = {
    "arrays in arrays": b"[" * DEEP + b"]" * DEEP,
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deeper than is taken": b"[" * (strict_json.MAX_DEPTH + 1) + b"]" * (strict_json.MAX_DEPTH + 1),
    "NaN": b'{"progress": NaN}',
    "Infinity": b"[-Infinity]",
    "a number beyond a float": b"[1e999]",
    "an exponent beyond all": b"[1e999999999999]",
    "4,000 digits": b"[" + b"9" * 4_000 + b"]",
    "10,000 digits": b"[" + b"9" * 10_000 + b"]",
    "invalid UTF-8": b'["\xff"]',
    "half a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "a bare NUL": b'["\x00"]',
    "nothing": b"",
    "two values": b"{} {}",
    "cut off": b'{"a": [1, 2',
}
TAKEN = {
    "a key twice": (b'{"a": 1, "a": 2}', {"a": 2}),
    "NUL": (rb'{"a\u0000": "b\u0000"}', {"a\ufffd": "b\ufffd"}),
    "half a surrogate": (
        rb'["\ud83d", "\ude00x", "\ud83d\ude00", "\\ud83d"]',
        ["\ufffd", "\ufffdx", "😀", "\\ud83d"],
    ),
    "a byte order mark": (b"\xef\xbb\xbf[1]", [1]),
    "20 digits": (b"[12345678901234567890123]", [12345678901234567890123]),
    "as deep as is taken": (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_nobody_could_use_is_refused_in_words(raw: bytes) -> None:
    with pytest.raises(JSONError) as caught:
        decode(raw)
    assert 5 < len(str(caught.value)) < 200


@pytest.mark.parametrize(("raw", "value"), TAKEN.values(), ids=TAKEN)
def test_what_is_odd_but_can_be_read_is_read(raw: bytes, value: object) -> None:
    assert decode(raw) == value


def test_numbers_that_are_none_are_null_where_they_are_allowed_and_nowhere_in_texts() -> None:
    raw = rb'{"a": NaN, "b": [-Infinity, Infinity], "NaN": "NaN \" NaN", "c": 1}'
    assert decode(raw, nan_is_null=True) == {"a": None, "b": [None, None], "NaN": 'NaN " NaN', "c": 1}


@pytest.mark.parametrize(
    "raw",
    [
        b'["' + b'\\"' * 131_000,
        b'["' + b"\\" * 262_000,
        b'"' * 262_144,
        rb"\ud800" * 43_000,
        b'["' + rb"\ud800" * 43_000 + b'"]',
        b"NaN," * 65_000,
        b"-" * 262_144,
        b"[" * 262_144,
        b"[" + b"[]," * 87_000 + b"0]",
    ],
)
def test_any_256_kib_take_next_to_no_time(raw: bytes) -> None:
    def decoded() -> None:
        with contextlib.suppress(JSONError):
            decode(raw, nan_is_null=True)

    best = min(at_rest(decoded) for _ in range(3))
    assert best < 0.5, best


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\\udDbB08NaInfity-1. \x00', max_size=80))
def test_anything_at_all_is_a_value_or_a_jsonerror(raw: bytes | str) -> None:
    for nan_is_null in (False, True):
        try:
            value = decode(raw, nan_is_null=nan_is_null)
        except JSONError:
            continue
        text = json.dumps(value)
        assert "\\u0000" not in text and "NaN" not in json.dumps(_without_texts(value))
        text.encode()


def _without_texts(value: object) -> object:
    if isinstance(value, list):
        return [_without_texts(item) for item in value]
    if isinstance(value, dict):
        return [_without_texts(item) for item in value.values()]
    return None if isinstance(value, str) else value


# --- Nobody else reads it ----------------------------------------------------------------------------------

_OWN = {
    Path("routescope/wire/strict_json.py"): "the one place",
    Path("routescope/wire/reading.py"): "takes bodies of records apart, of which each is then read strictly",
    Path("routescope/embedded/keeper.py"): "reads what it wrote itself",
    Path(
        "routescope/wire/json_parts.py"
    ): "takes bodies of records apart, of which each is then read strictly",
}
"""Who may call a bare reader of JSON. The formats of records under ``logs/`` have one of their own."""


def bare_readers(source: str) -> list[int]:
    """Return the lines that read JSON of any shape without bounds: ``json.loads``, and msgspec without a
    type.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "json":
            found += [node.lineno for name in node.names if name.name in ("load", "loads", "JSONDecoder")]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "json":
            found += [node.lineno] if node.attr in ("load", "loads", "JSONDecoder") else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "msgspec.json.decode":
            found += [] if any(given.arg == "type" for given in node.keywords) else [node.lineno]
    return found


def test_json_of_others_is_read_nowhere_else() -> None:
    files = [
        path.relative_to(ROOT)
        for folder in ("accounts", "routescope", "tasks")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 80
    read = {
        f"{path}:{line}"
        for path in files
        if path not in _OWN
        for line in bare_readers((ROOT / path).read_text())
    }
    assert not read, f"read it by routescope.wire.strict_json: {sorted(read)}"


@pytest.mark.parametrize(
    "line",
    [
        "json.loads(x)",
        "from json import loads",
        "json.JSONDecoder()",
        "msgspec.json.decode(x)",
        "json.load(f)",
    ],
)
def test_the_walk_sees_a_bare_reader(line: str) -> None:
    assert bare_readers(line) == [1]
    assert not bare_readers("msgspec.json.decode(x, type=Named)\njson.dumps(x)\nanswer.json()")
