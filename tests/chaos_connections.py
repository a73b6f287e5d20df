"""A thousand slow and silent connections, fifty people and gateways at full rate, all at once.

``python -m tests.chaos_connections`` (with the embedded engines, in a state folder of its own). Prints how
long sign-in and the first page take meanwhile, and a small batch beside a hundred people. Exits with 1 if a
record that was acknowledged is not there, if anybody who asked properly was refused, or a small batch waits
too long.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median, quantiles
from typing import ClassVar
from urllib.parse import urlencode

from tests.chaos_clients import (
    Answer,
    Connected,
    bearer,
    cookies,
    in_mid_body,
    in_mid_header,
    once,
    silent,
    trickling,
)

PASSWORD = "chaos-of-connections"
SMALL_BATCH_LIMIT = 0.5  # seconds, p95
PAGE = "/records/usage/?range=7d"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=int, default=1000, help="slow and silent connections")
    parser.add_argument("--people", type=int, default=50, help="people in a closed loop beside them")
    parser.add_argument("--gateways", type=int, default=4, help="gateways at full rate")
    parser.add_argument("--batch", type=int, default=500, help="records in a gateway's batch")
    parser.add_argument("--crowd", type=int, default=100, help="people beside the small batches")
    parser.add_argument("--seconds", type=float, default=40, help="of each part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rs-chaos-", ignore_cleanup_errors=True) as state:
        os.environ["ROUTESCOPE_STATE"] = state
        os.environ["DJANGO_SETTINGS_MODULE"] = "routescope.settings"
        os.environ["LOG_LEVEL"] = "ERROR"
        import django

        from routescope import embedded

        django.setup()
        with embedded.engines():
            return run(options)


def run(options: argparse.Namespace) -> int:
    from django.core.management import call_command
    from django.db import connection

    from routescope.run import statics
    from tests.bench.serving import served

    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    statics.collect()
    cast = Cast(max(options.people, options.crowd), options.gateways)
    with served(connection.settings_dict["NAME"]) as port:
        good = asyncio.run(measure(port, cast, options))
    return 0 if good else 1


class Cast:
    """People who are signed in, people who will sign in, and gateways with their keys."""

    def __init__(self, people: int, gateways: int) -> None:
        from django.contrib.auth.hashers import make_password

        from accounts.models import Gateway, IngestKey, User
        from tests.bench.serving import session

        say(f"making {people} people and {gateways} gateways")
        self.cookies = [
            session(User.objects.create(email=f"person-{number}@example.com")) for number in range(people)
        ]
        password = make_password(PASSWORD)
        self.newcomers = [f"newcomer-{number}@example.com" for number in range(100)]
        User.objects.bulk_create(User(email=email, password=password) for email in self.newcomers)
        self.keys = [
            IngestKey.issue(Gateway.objects.create(name=f"gateway-{number}"), "chaos")[1]
            for number in range(gateways + 1)
        ]


async def measure(port: int, cast: Cast, options: argparse.Namespace) -> bool:
    await history(port, cast)
    good = True
    for told, slow, people, gateways in (
        ("alone", 0, 0, 0),
        (f"beside {options.slow} slow connections", options.slow, 0, 0),
        (
            f"beside {options.slow} slow connections, {options.people} people, {options.gateways} gateways",
            options.slow,
            options.people,
            options.gateways,
        ),
        (f"beside {options.crowd} people", 0, options.crowd, 0),
    ):
        load = Load(port, cast)
        load.start(slow, people, gateways, options.batch)
        found = await load.probe(options.seconds if people else options.seconds / 4)
        good &= found.tell(told)
        if people == options.crowd and not gateways:
            good &= found.is_quick("small batch", SMALL_BATCH_LIMIT)
    lost = Load.acknowledged - await stored()
    say(f"\nrecords acknowledged {len(Load.acknowledged)}, of which not kept {len(lost)}")
    return good and not lost


async def history(port: int, cast: Cast) -> None:
    """Give everybody records of the last days, so that pages cost what they cost."""
    say("sending records of the last days")
    now = datetime.now(UTC)
    for number in range(len(cast.cookies)):
        moments = [now - timedelta(minutes=20 * turn + number % 19) for turn in range(300)]
        lines = [
            record(f"past-{number}", turn, moment, f"person-{number}@example.com")
            for turn, moment in enumerate(moments)
        ]
        status, _, body = await once(
            port, "POST", "/api/v1/usage", bearer(cast.keys[0]), "\n".join(lines).encode()
        )
        if status != 200:
            raise RuntimeError(f"The console refused records: {status} {body[:200]!r}")
        Load.acknowledged |= {f"req-past-{number}-{turn}" for turn in range(len(lines))}


async def stored() -> set[str]:
    from logs.models import UsageRecord

    return {request_id async for request_id in UsageRecord.objects.values_list("request_id", flat=True)}


def record(name: str, number: int, moment: datetime, user: str) -> str:
    return json.dumps(
        {
            "request_id": f"req-{name}-{number}",
            "created_at": moment.isoformat(),
            "user": user,
            "token": f"token-{number % 3}",
            "model": f"model-{number % 7}",
            "input_tokens": 100 + number % 900,
            "output_tokens": number % 700,
            "duration_ms": 200 + number * 13 % 9000,
            "cost": "0.0125",
        }
    )


# --- What goes on ------------------------------------------------------------------------------------------


class Load:
    """Everybody at once, until the probes are done."""

    acknowledged: ClassVar[set[str]] = set()
    _batches = itertools.count()
    _newcomers = itertools.count()

    def __init__(self, port: int, cast: Cast) -> None:
        self.port = port
        self.cast = cast
        self.found = Found()
        self._running: list[asyncio.Task[None]] = []

    def start(self, slow: int, people: int, gateways: int, batch: int) -> None:
        kinds = (silent, in_mid_header, in_mid_body, trickling)
        for number in range(slow):
            self._begin(again(partial(kinds[number % 4], self.port)))
        for cookie in self.cast.cookies[:people]:
            self._begin(again(partial(self._person, cookie)))
        for key in self.cast.keys[:gateways]:
            self._begin(again(partial(self._gateway, key, batch)))

    async def probe(self, seconds: float) -> Found:
        await asyncio.sleep(3)
        end = time.monotonic() + seconds
        await asyncio.gather(self._sign_in(end), self._send_small_batches(end), self._ask_health(end))
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        return self.found

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        self._running.append(asyncio.create_task(work))

    async def _person(self, cookie: str) -> None:
        """Open the list again and again, over a connection that stays open."""
        async with Connected(self.port) as connected:
            while True:
                with self.found.timed("page of a person"):
                    status, _, _ = await connected.ask(
                        "GET", PAGE, {"Cookie": cookie, "Accept-Encoding": "gzip"}
                    )
                self.found.answers["people", status] += 1

    async def _gateway(self, key: str, size: int) -> None:
        async with Connected(self.port) as connected:
            while True:
                batch = self._batch(size)
                with self.found.timed("batch of a gateway"):
                    answer = await connected.ask("POST", "/api/v1/usage", bearer(key), batch.body)
                self._count("gateways", batch, answer)

    async def _send_small_batches(self, end: float) -> None:
        while time.monotonic() < end:
            batch = self._batch(5)
            with self.found.timed("small batch"):
                key = self.cast.keys[-1]
                answer = await once(self.port, "POST", "/api/v1/usage", bearer(key), batch.body)
            self._count("small batches", batch, answer)
            await asyncio.sleep(0.25)

    async def _ask_health(self, end: float) -> None:
        while time.monotonic() < end:
            with self.found.timed("/readyz"):
                status, _, _ = await once(self.port, "GET", "/readyz", {}, b"")
            self.found.answers["health", status] += 1
            await asyncio.sleep(0.5)

    async def _sign_in(self, end: float) -> None:
        """Come anew, sign in, and open the first page: each time somebody else, from another address."""
        while time.monotonic() < end:
            number = next(self._newcomers)
            source = f"127.0.{number // 200 + 1}.{number % 200 + 1}"
            email = self.cast.newcomers[number % len(self.cast.newcomers)]
            async with Connected(self.port, source) as connected:
                with self.found.timed("sign-in page"):
                    status, headers, page = await connected.ask("GET", "/accounts/login/", {})
                self.found.answers["sign-in page", status] += 1
                token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
                if token is None:
                    continue
                form = urlencode(
                    {"csrfmiddlewaretoken": token[1].decode(), "login": email, "password": PASSWORD}
                )
                jar = cookies(headers)
                with self.found.timed("sign-in"):
                    status, headers, page = await connected.ask(
                        "POST",
                        "/accounts/login/",
                        {"Cookie": jar, "Content-Type": "application/x-www-form-urlencoded"},
                        form.encode(),
                    )
                self.found.answers["sign-in", status] += 1
                with self.found.timed("first page"):
                    status, _, _ = await connected.ask("GET", PAGE, {"Cookie": f"{jar}; {cookies(headers)}"})
                self.found.answers["first page", status] += 1

    def _batch(self, size: int) -> Batch:
        name, now = f"batch-{next(self._batches)}", datetime.now(UTC)
        moments = [now - timedelta(milliseconds=turn) for turn in range(size)]
        lines = [
            record(name, turn, moment, f"person-{turn % 50}@example.com")
            for turn, moment in enumerate(moments)
        ]
        return Batch("\n".join(lines).encode(), {f"req-{name}-{turn}" for turn in range(size)})

    def _count(self, who: str, batch: Batch, answer: Answer) -> None:
        status, _, body = answer
        self.found.answers[who, status] += 1
        if status == 200:
            if json.loads(body)["accepted"] != len(batch.request_ids):
                raise RuntimeError(f"The console refused a record: {body!r}")
            Load.acknowledged |= batch.request_ids


@dataclass(frozen=True)
class Batch:
    """Records on their way."""

    body: bytes
    request_ids: set[str]


async def again(work: Callable[[], Awaitable[None]]) -> None:
    """Do it over and over: who is cut off comes back."""
    while True:
        try:
            await work()
        except (OSError, EOFError):
            await asyncio.sleep(random.uniform(0, 0.2))


# --- What was found ----------------------------------------------------------------------------------------


class Found:
    """Seconds by what was asked, and answers by who asked."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.answers: Counter[tuple[str, int]] = Counter()

    def timed(self, name: str) -> Timer:
        return Timer(self.seconds.setdefault(name, []))

    def tell(self, told: str) -> bool:
        """Print it; say whether nobody was refused."""
        say(f"\n{told}:")
        for name, seconds in self.seconds.items():
            say(f"  {name:20} p50 {median(seconds):6.3f} s   p95 {p95(seconds):6.3f} s   {len(seconds):6}")
        refused = {key: count for key, count in self.answers.items() if key[1] not in (200, 302)}
        if refused:
            say(f"  refused: {refused}")
        return not refused

    def is_quick(self, name: str, limit: float) -> bool:
        return p95(self.seconds[name]) < limit


class Timer:
    """Adds the seconds that a block takes, where it ends without an error."""

    def __init__(self, seconds: list[float]) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, exception: type[BaseException] | None, *rest: object) -> None:
        if exception is None:
            self._seconds.append(time.perf_counter() - self._started)


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20, method="inclusive")[18] if len(seconds) > 1 else seconds[0]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
