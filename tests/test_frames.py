"""Room for the frames of Python's calls."""

from __future__ import annotations

import threading

import pytest

from routescope.run.frames import with_room


def deep(calls: int) -> int:
    return 0 if calls == 0 else 1 + deep(calls - 1)


def test_work_with_room_returns_and_raises_what_it_would() -> None:
    assert with_room(lambda: deep(500)) == 500
    with pytest.raises(ZeroDivisionError):
        with_room(lambda: 1 // 0)


def test_a_thread_may_spend_its_life_there() -> None:
    found: list[int] = []
    thread = threading.Thread(target=with_room, args=(lambda: found.append(deep(500)),))
    thread.start()
    thread.join()
    assert found == [500]
