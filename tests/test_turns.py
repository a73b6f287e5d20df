"""Whose turn it is in the web server's queues, and what its threads do about it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from routescope.run.limits import ServerLimits
from routescope.run.pools import FullError, GoneError, LateError, Pool
from routescope.run.turns import Turns
from routescope.run.uploads import UploadRefusedError, Uploads

MANY = 10**6


def turns(**changes: int) -> Turns[str]:
    return Turns(**({"most": MANY, "most_each": MANY, "at_once_each": MANY} | changes))


def order(queue: Turns[str]) -> list[str]:
    """Take everything, each done at once."""
    found = []
    while (taken := queue.take()) is not None:
        found.append(taken[1])
        queue.served(taken[0])
    return found


# --- Turns -------------------------------------------------------------------------------------------------


def test_one_who_asks_much_waits_behind_those_who_ask_little() -> None:
    queue = turns()
    for number in range(5):
        queue.put("greedy", f"g{number}")
    for name in ("a", "b"):
        queue.put(name, name)
    assert set(order(queue)[:3]) == {"a", "b", "g0"}
    assert len(queue) == 0


def test_who_comes_anew_goes_before_a_crowd_that_keeps_asking() -> None:
    queue = turns()
    crowd = [f"person-{number}" for number in range(100)]
    for person in crowd:
        queue.put(person, person)
    for _ in range(300):  # Each asks again as soon as an answer is there.
        person, _ = queue.take() or ("", "")
        queue.served(person)
        queue.put(person, person)
    queue.put("newcomer", "newcomer")
    assert "newcomer" in [taken[0] for taken in (queue.take(), queue.take()) if taken]


def test_a_stream_of_newcomers_leaves_the_others_every_fourth_turn() -> None:
    queue = turns()
    for number in range(10):
        queue.put("old", f"old-{number}")
    queue.served((queue.take() or ("", ""))[0])
    found = []
    for number in range(20):
        queue.put(f"new-{number}", "new")
        queue.put(f"newer-{number}", "new")
        client, thing = queue.take() or ("", "")
        queue.served(client)
        found.append(thing)
    assert sum(thing != "new" for thing in found) == 5


def test_the_queue_is_bounded_in_all_and_for_each() -> None:
    queue = turns(most=3, most_each=2)
    queue.put("a", "1")
    queue.put("a", "2")
    with pytest.raises(FullError):
        queue.put("a", "3")
    queue.put("b", "4")
    with pytest.raises(FullError):
        queue.put("c", "5")


def test_one_client_is_not_served_more_often_at_once_than_it_may() -> None:
    queue = turns(at_once_each=1)
    for number in range(3):
        queue.put("a", f"a{number}")
    assert queue.take() == ("a", "a0")
    assert queue.take() is None
    queue.put("b", "b0")
    assert queue.take() == ("b", "b0")
    queue.served("a")
    assert queue.take() == ("a", "a1")


def test_what_is_withdrawn_has_no_turn_and_nothing_is_kept_of_it() -> None:
    queue = turns()
    queue.put("a", "1")
    assert queue.withdraw("a", "1")
    assert not queue.withdraw("a", "1")
    assert queue.take() is None
    assert queue._lines == {}


# --- Pools -------------------------------------------------------------------------------------------------


def in_loop(test: Callable[[], object]) -> None:
    """Run a coroutine function, for at most half a minute."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()  # type: ignore[misc]

    asyncio.run(bounded())


def test_work_is_done_in_threads_and_its_errors_are_told() -> None:
    async def test() -> None:
        pool: Pool[int] = Pool("t", 2, most=9, most_each=9, patience=30)
        assert await pool.submit("a", threading.get_ident).outcome != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await pool.submit("a", lambda: 1 // 0).outcome
        assert await pool.submit("a", lambda: 7).outcome == 7

    in_loop(test)


def test_who_waits_too_long_or_is_gone_has_no_turn() -> None:
    async def test() -> None:
        pool: Pool[object] = Pool("t", 1, most=9, most_each=9, patience=0.1)
        over, begun = threading.Event(), threading.Event()
        done: list[str] = []

        def work() -> bool:
            begun.set()
            return over.wait(30)

        first = pool.submit("a", work)
        await asyncio.to_thread(begun.wait, 30)
        late, gone = pool.submit("b", lambda: done.append("b")), pool.submit("c", lambda: done.append("c"))
        gone.leave()
        with pytest.raises(GoneError):
            await gone.outcome
        with pytest.raises(LateError):
            await late.outcome
        first.leave()
        over.set()
        assert await first.outcome is True, "what is under way goes on"
        assert done == []

    in_loop(test)


def test_more_run_side_by_side_only_beside_slow_ones() -> None:
    async def test() -> None:
        pool: Pool[object] = Pool("t", 4, most=9, most_each=9, patience=30, at_once=2)
        over = threading.Event()
        loop, clock = asyncio.get_running_loop(), []

        def work() -> None:
            clock.append(loop.time())
            over.wait(30)

        jobs = [pool.submit(f"client-{number}", work) for number in range(4)]
        while len(clock) < 4:
            await asyncio.sleep(0)
        over.set()
        await asyncio.gather(*(job.outcome for job in jobs))
        clock.sort()
        assert clock[2] - clock[0] >= 0.4, "the third waits until the first ones are slow"

    in_loop(test)


def test_one_client_leaves_a_thread_to_the_others() -> None:
    async def test() -> None:
        pool: Pool[object] = Pool("t", 3, most=9, most_each=9, patience=30)
        over = threading.Event()
        greedy = [pool.submit("greedy", lambda: over.wait(30)) for _ in range(5)]
        assert await pool.submit("other", lambda: "done").outcome == "done"
        over.set()
        await asyncio.gather(*(job.outcome for job in greedy))

    in_loop(test)


# --- Bodies ------------------------------------------------------------------------------------------------


def test_where_bodies_are_too_much_together_the_slowest_gives_way() -> None:
    async def test() -> None:
        uploads = Uploads(ServerLimits(bodies=3000))
        slow: asyncio.Queue[dict[str, object]] = asyncio.Queue()

        async def at_once() -> dict[str, object]:
            return {"type": "http.request", "body": b"x" * 2500, "more_body": False}

        slow.put_nowait({"type": "http.request", "body": b"x" * 1000, "more_body": True})
        coming = asyncio.create_task(uploads.take_in(slow.get, None, 5000))  # type: ignore[arg-type]
        while uploads._held < 1000:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        body = await uploads.take_in(at_once, None, 5000)  # type: ignore[arg-type]
        assert body.file.read() == b"x" * 2500
        with pytest.raises(UploadRefusedError) as refused:
            await coming
        assert refused.value.status == 503
        with pytest.raises(UploadRefusedError):
            await uploads.take_in(at_once, None, 5000)  # type: ignore[arg-type]
        body.close()
        assert uploads._held == 0

    in_loop(test)
