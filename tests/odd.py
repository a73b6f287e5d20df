"""Odd records of every format: strategies, and values that are odd in themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
NANO = int(AT.timestamp()) * 10**9


class Bare(float):
    """A number that is written into JSON as it stands: what no encoder writes."""

    def __new__(cls, text: str) -> Bare:
        self = super().__new__(cls, 0.5)
        self.text = text
        return self

    text: str

    def __repr__(self) -> str:
        return self.text


TEXTS = (
    "", " ", "\x00", "a\x00b", "\r\n", "a\tb", "\x1b[31m", "\x85", "\u2028", "\u202e", "\ufffe", "🙂" * 300,
    "=1+1", "@SUM(A1)", "'", '"', "\\", "{{ 7*7 }}", "<script>", "%00", "%n", "../..", "NaN", "null",
    "x" * 5_000, "1e999", "-0", "０", "1" * 400,
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0, -0.0, -1, 1, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**39, 10**400, 1e-9, 1e308,
    Bare("1e400"), Bare("-1e400"), Bare("1e-400"), Bare("NaN"), Bare("Infinity"), Bare("-Infinity"),
    Bare("1" * 5_000), Bare("0." + "3" * 500), Bare("1E+999999999"), 999_999_999_999,
    Bare("999999999999.999999999999"), Bare("0.0000000000001"), 3600_000 * 24 * 365 * 20, True, None,
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z", "2026-02-30T00:00:00Z", 0, -1,
    -10**11 + 1, 10**11 - 1, 253402300799, 2**31, 2**63, Bare("1e308"), Bare("NaN"), "now", "", None,
)  # fmt: skip
NESTED: tuple[Any, ...] = (
    [], {}, [[]], [None], {"": ""}, {"a": {"b": [1, "\x00", 2.5]}}, [1] * 2_000,
    {str(n): n for n in range(500)}, {"\x00": "\x00"}, {"n": 10**39}, {"n": 10**45}, {"n": Bare("1e400")},
)  # fmt: skip


def deep(levels: int) -> Any:
    """Return JSON that nests so deep, as it is written: Python itself cannot show it."""
    opened, closed = ("[", "]") if levels % 2 else ('{"a":', "}")
    return Bare(opened * levels + "1" + closed * levels)


def written(value: Any) -> bytes:
    """Write JSON, what is no JSON in it as it stands. Halves of characters are written as escapes."""
    return _encoder.encode(value).encode()


class _Encoder(json.JSONEncoder):
    def iterencode(self, o: Any, _one_shot: bool = False) -> Any:
        # Python's own, in Python: the one in C does not ask a number how it is written.
        encode = json.encoder.encode_basestring_ascii
        yield from json.encoder._make_iterencode(  # type: ignore[attr-defined]
            {}, self.default, encode, None, repr, ":", ",", False, False, False
        )(o, 0)


_encoder = _Encoder()


def odd() -> SearchStrategy[Any]:
    """Return any one odd value."""
    return st.one_of(
        st.sampled_from(TEXTS),
        st.sampled_from(NUMBERS),
        st.sampled_from(TIMES),
        st.sampled_from(NESTED),
        st.text(max_size=20),
        st.text(st.characters(categories=("Cc", "Cf", "Cs", "Co", "Zl", "Zp")), min_size=1, max_size=5),
        st.integers(),
        st.floats().map(lambda number: Bare(repr(number).replace("inf", "Infinity").replace("nan", "NaN"))),
        st.sampled_from((60, 101, 400, 990)).map(deep),
    )


def oddly(sound: dict[str, Any], names: tuple[str, ...], *, most: int = 4) -> SearchStrategy[dict[str, Any]]:
    """Return a sound record with some of its fields, or further ones, odd."""
    changes = st.dictionaries(st.sampled_from(names), odd(), min_size=1, max_size=most)
    return changes.map(lambda changed: {**sound, **changed})
