"""Room for the frames of Python's calls, taken once a thread.

CPython (3.11 and later) lays the frames of Python functions into chunks of 16 KiB. A call that does not fit
maps another chunk, and unmaps it when it returns: where a loop happens to run at the end of a chunk, each of
its calls costs two system calls. A page of ours, some sixty frames deep with a template at its end, took from
a tenth to a half longer by that, and one middleware more or less decided it. See ``push_chunk`` in CPython's
``Python/pystate.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TypeVar, cast

_Result = TypeVar("_Result")
_SLOTS = 40_000
"""Of eight bytes each: 320 KiB, for which CPython takes a chunk of 512 KiB. What is left is for the calls."""


def _call(work: Callable[[], _Result]) -> _Result:
    return work()


def _roomy() -> Callable[[Callable[[], object]], object]:
    """Return ``_call`` with so many local variables more, which nothing uses."""
    names = (*_call.__code__.co_varnames, *(f"_{number}" for number in range(_SLOTS)))
    code = _call.__code__.replace(co_varnames=names, co_nlocals=len(names))
    return FunctionType(code, {}, "with_room")


_with_room = _roomy()


def with_room(work: Callable[[], _Result]) -> _Result:
    """Do the work where its calls, and those beneath them, share one chunk: a thread's whole life, say."""
    return cast(_Result, _with_room(work))
