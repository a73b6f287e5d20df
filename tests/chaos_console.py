"""A console under load, for chaos runs: what it says, who sends to it and who reads it, what it must hold."""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

from routescope.embedded import place

MANAGE = [sys.executable, str(place.CHECKOUT / "manage.py")]
EMAIL, PASSWORD = "chaos@example.com", "chaos-chaos-chaos"
BATCH = 100
COST = Decimal("0.01")
START = 180.0  # seconds that a console may take to be ready
LINE = re.compile(r"^(\w+) +\| (.*)$")


class Console:
    """``manage.py up``, and every line it said with the time it said it."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[tuple[float, str]] = []
        self.key = ""

    def __enter__(self) -> Self:
        self.start()
        made = manage("create_gateway", "chaos")
        self.key = next(word for word in made.split() if word.startswith("rsk_") or len(word) > 40)
        manage(
            "shell",
            "--no-imports",
            "-c",
            f"from accounts.models import User;User.objects.create_superuser({EMAIL!r}, {PASSWORD!r})",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)
        self._reader.join(10)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(
            [*MANAGE, "up", "--no-demo", "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        began = time.monotonic()
        until(lambda: self.said("Routescope is ready", began) or self.process.poll() is not None, START)
        if not self.said("Routescope is ready", began):
            raise RuntimeError("It did not come up:\n" + "\n".join(line for _, line in self.lines[-30:]))

    def said(self, words: str, since: float) -> bool:
        """Say whether it said so since then."""
        return any(at >= since and words in line for at, line in list(self.lines))

    def report(self) -> list[str]:
        """Tell how much it said; return what is wrong with that."""
        by_name = Counter(match[1] for _, line in self.lines if (match := LINE.match(line)))
        size = sum(len(line) + 1 for _, line in self.lines)
        tracebacks = sum("Traceback" in line for _, line in self.lines)
        say(f"log: {len(self.lines)} lines, {size} bytes, {tracebacks} tracebacks; {dict(by_name)}")
        for _, line in self.lines:
            if match := LINE.match(line):
                say(f"    {match[1]:<8}| {match[2][:200]}")
        return [f"{tracebacks} tracebacks in the log"] if tracebacks else []

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.lines.append((time.monotonic(), line.rstrip()))


class Load:
    """Gateways that send batches until each is acknowledged, and people who read pages."""

    def __init__(self, console: Console, senders: int, readers: int) -> None:
        self.console = console
        self.acknowledged: dict[str, int] = {}
        """Records of each batch that was acknowledged."""
        self.answers: Counter[str] = Counter()
        """Answers to gateways, by status or by the kind of failure."""
        self.pages: Counter[str] = Counter()
        self.new = self.known = 0
        self.slowest_page = 0.0
        self._ended = threading.Event()
        self._paused = threading.Event()
        self._lock = threading.Lock()
        work: list[tuple[Callable[[int], None], int]] = [
            *((self._send_batches, number) for number in range(senders)),
            *((self._read_pages, number) for number in range(readers)),
        ]
        self._threads = [threading.Thread(target=job, args=(number,), daemon=True) for job, number in work]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let every batch under way be acknowledged, and stop."""
        self._ended.set()
        for thread in self._threads:
            thread.join(120)

    def report(self) -> list[str]:
        """Tell what was sent and read; return what is wrong with that."""
        say(
            f"records: {sum(self.acknowledged.values())} acknowledged in {len(self.acknowledged)} batches"
            f" ({self.new} new, {self.known} known already); answers {dict(self.answers)}"
        )
        say(f"pages: {dict(self.pages)}, the slowest took {self.slowest_page:.1f} s")
        faults = []
        if any(thread.is_alive() for thread in self._threads):
            faults.append("a batch was never acknowledged")
        if not self.acknowledged or not self.pages["200"]:
            faults.append("there was no load")
        return faults

    def _send_batches(self, number: int) -> None:
        count = 0
        while not self._ended.is_set():
            count += 1
            name = f"{number}-{count}"
            body = batch(name, number * 1_000_000 + count)
            gives_up = time.monotonic() + 300
            while time.monotonic() < gives_up:
                status, answer = send(self.console, body)
                with self._lock:
                    self.answers[status] += 1
                    if status == "200":
                        self.acknowledged[name] = BATCH
                        self.new += int(str(answer["accepted"]))
                        self.known += int(str(answer["duplicates"]))
                        break
                time.sleep(0.1)

    def _read_pages(self, number: int) -> None:
        person = Person(self.console)
        while not self._ended.is_set():
            began = time.monotonic()
            status = person.read("/records/usage/")
            took = time.monotonic() - began
            with self._lock:
                self.pages[status] += 1
                if status == "200":
                    self.slowest_page = max(self.slowest_page, took)
            time.sleep(0.1)


class Person:
    """Somebody who is signed in, and signs in where that did not last."""

    def __init__(self, console: Console) -> None:
        self._url = console.url
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def read(self, path: str) -> str:
        """Return the status of a page, signed in, or the kind of failure."""
        try:
            with self._opener.open(f"{self._url}{path}", timeout=30) as answer:
                if "/accounts/login/" not in answer.url:
                    answer.read()
                    return str(answer.status)
                page = answer.read().decode()
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            form = {"csrfmiddlewaretoken": found[1] if found else "", "login": EMAIL, "password": PASSWORD}
            data = urllib.parse.urlencode(form).encode()
            request = urllib.request.Request(answer.url, data, {"Referer": self._url})
            with self._opener.open(request, timeout=30) as answer:
                answer.read()
                return f"signed in {answer.status}"
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__


def batch(name: str, number: int) -> bytes:
    """Return a batch of records of the last days; no two are of one millisecond."""
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    return "\n".join(
        json.dumps(
            {
                "request_id": f"req-{name}-{position}",
                "created_at": (
                    first + timedelta(milliseconds=(number * BATCH + position) % 80_000_000)
                ).isoformat(),
                "user": f"user-{position % 20}",
                "token": "t",
                "model": f"m{position % 3}",
                "input_tokens": 10,
                "output_tokens": 5,
                "cost": str(COST),
            }
        )
        for position in range(BATCH)
    ).encode()


def send(console: Console, body: bytes) -> tuple[str, dict[str, object]]:
    """Send a batch once; return the status, or the kind of failure, and the answer."""
    headers = {"Authorization": f"Bearer {console.key}", "Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(f"{console.url}/api/v1/usage", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: dict[str, object] = json.load(answer)
            return str(answer.status), told
    except urllib.error.HTTPError as error:
        with error:
            retry = error.headers.get("Retry-After")
            return f"{error.code}", {"retry_after": retry, "body": error.read().decode(errors="replace")}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return type(getattr(error, "reason", error)).__name__, {}


def manage(*arguments: str) -> str:
    """Run a management command; return what it says."""
    return subprocess.run(
        [*MANAGE, *arguments], check=True, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    ).stdout


def check(load: Load) -> list[str]:
    """Compare what the database holds with what was acknowledged, and its sums with its records."""
    from django.db.models import Count, Sum

    from logs.models import UsageDay, UsageRecord
    from routescope import embedded
    from tests.sums import check_rollups

    faults = []
    with embedded.engines():
        names = UsageRecord.objects.values_list("request_id", flat=True)
        held = Counter(name.rpartition("-")[0].removeprefix("req-") for name in names.iterator())
        lost = [name for name, count in load.acknowledged.items() if held[name] != count]
        twice = UsageRecord.objects.values("request_id").annotate(n=Count("id")).filter(n__gt=1).count()
        total, cost = sum(held.values()), sum(UsageDay.objects.values_list("cost", flat=True), Decimal())
        sums = UsageDay.objects.aggregate(records=Sum("records"), tokens=Sum("input_tokens"))
        say(f"held: {total} records; lost {len(lost)} batches, doubled {twice}; sums {sums}, {cost} USD")
        if lost or twice:
            faults.append(f"{len(lost)} batches lost, {twice} records doubled")
        if (sums["records"], sums["tokens"], cost) != (total, 10 * total, COST * total):
            faults.append("the sums are wrong")
        with contextlib.ExitStack() as stack:
            stack.callback(_close)
            check_rollups()
    return faults


def _close() -> None:
    from django.db import connections

    connections.close_all()


def until(condition: Callable[[], object], seconds: float) -> float | None:
    """Wait until it holds; return how long that took, or None where it never did."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
