"""The web server on a bench database: pages timed over HTTP, and many people at once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User, UserIdentity
from tests.bench.reading import MONTH
from tests.bench.table import Row, Work, in_turns, within

PATH = (
    f"/records/usage/?start={MONTH.start:%Y-%m-%dT%H:%MZ}&end={MONTH.end:%Y-%m-%dT%H:%MZ}"
    if MONTH.start and MONTH.end
    else "/records/usage/"
)


@contextlib.contextmanager
def served(database: str) -> Iterator[int]:
    """Serve a database with gunicorn as the console does; yield the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    url = urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{database}"))
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "DJANGO_SETTINGS_MODULE": "routescope.settings",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "routescope/run/gunicorn.py"],
        cwd=settings.BASE_DIR,
        env=environment,
        start_new_session=True,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def session(user: User | None = None) -> str:
    """Sign somebody in, by default the heavy user; return the cookie."""
    person = user or UserIdentity.objects.get(name="user1").user
    person.is_active = True
    person.set_unusable_password()
    person.save()
    store = SessionStore()
    store[SESSION_KEY] = str(person.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = person.get_session_auth_hash()
    store.create()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}"


def another() -> User:
    """Return somebody else than the heavy user, with records too."""
    return UserIdentity.objects.get(name="user2").user


def administrator() -> str:
    """Sign an admin in; return the cookie."""
    person, _ = User.objects.get_or_create(email="admin@bench.example")
    person.is_staff = person.is_superuser = True
    return session(person)


def pages(ports: dict[int, int], cookies: dict[int, str]) -> list[Row]:
    """Measure the page of the heavy user's month at several sizes of history, in turns."""
    counts = sorted(ports)

    def page(count: int) -> Work:
        return lambda: fetch(ports[count], cookies[count], PATH)

    times = dict(zip(counts, in_turns([page(count) for count in counts], 25), strict=True))
    largest = counts[-1]
    found = [
        Row(
            f"page over HTTP, against the same at {count:,} records",
            times[count],
            times[largest],
            "ms",
            f"at most {bound:g}x",
            times[largest] <= bound * times[count],
        )
        for count, bound in zip(counts[:-1], (1.5, 1.2), strict=False)
    ]
    swap = fetch(ports[largest], cookies[largest], PATH.replace("/usage/?", "/usage/results/?"))
    packed = fetch(ports[largest], cookies[largest], PATH.replace("/usage/?", "/usage/results/?"), "gzip")
    weight = len(swap) / 1024
    return [
        *found,
        Row("HTML of one swap, 50 rows", None, weight, "KB", "< 60 KB", weight < 60),
        Row("the same on the wire, gzipped", None, len(packed) / 1024, "KB", "gzip", len(packed) < len(swap)),
    ]


def admin_pages(port: int, cookie: str, request_id: str) -> list[Row]:
    """Measure the admin's list of everybody's records, the search and one record."""
    lists = "/admin/logs/usagerecord/"
    found = fetch(port, cookie, f"{lists}?q={request_id}").decode()
    [detail] = set(re.findall(rf'href="({lists}[0-9a-f-]{{36}}/change/)', found))
    paths = {"list": f"{lists}?{urlsplit(PATH).query}", "search": f"{lists}?q={request_id}", "record": detail}
    return [
        within(f"admin over HTTP: {name}", lambda path=path: fetch(port, cookie, path), 80)  # type: ignore[misc]
        for name, path in paths.items()
    ]


def everyones_pages(port: int, cookie: str, model: str) -> list[Row]:
    """Measure the first pages of everybody's records in the console: each view, unfiltered and by a model."""
    month = f"{PATH}&of=everyone"
    views = {
        "list, 30 days": month,
        "list, all time": "/records/usage/?of=everyone&range=all",
        "list of one model": f"{month}&model={model}",
        "Compare by model": f"{month}&compare=model",
        "Compare by person": f"{month}&compare=person",
        "errors, one by one": f"{month}&errors=each",
        "errors gathered": f"{month}&errors=gathered",
        "dearest first": f"{month}&sort=cost",
        "tasks": "/records/tasks/?of=everyone&range=all",
    }
    return [
        within(f"everybody's {name}, over HTTP", lambda path=path: fetch(port, cookie, path), 150)  # type: ignore[misc]
        for name, path in views.items()
    ]


def fetch(port: int, cookie: str, path: str, encoding: str = "identity") -> bytes:
    headers = {"Cookie": cookie, "Accept-Encoding": encoding}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        if "/login/" in answer.url or answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status} at {answer.url}")
        return bytes(answer.read())


def crowd(port: int, cookie: str, people: int = 50, each: int = 8) -> list[Row]:
    """Let many people open the list at once, again and again; tell how long they wait."""
    times: list[float] = []
    failed: list[str] = []

    def person() -> None:
        for _ in range(each):
            started = time.perf_counter()
            try:
                fetch(port, cookie, PATH)
            except (OSError, RuntimeError) as error:
                failed.append(str(error))
            else:
                times.append((time.perf_counter() - started) * 1000)

    threads = [threading.Thread(target=person) for _ in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spread = quantiles(times, n=20) if len(times) > 1 else [0.0] * 19
    told = f"{people} people at once, {people * each} pages, {len(failed)} errors"
    return [
        Row(f"{told}: {name}", None, value, "ms", "no error", not failed)
        for name, value in (("p50", spread[9]), ("p95", spread[18]))
    ]


def largest_megabytes(port: int) -> float:
    """Return the memory of the largest of the server's processes that listen on a port, in MiB (Linux)."""
    largest = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            environment = (status.parent / "environ").read_bytes()
            if f"PORT={port}\0".encode() in environment and b"DATABASE_URL" in environment:
                for line in status.read_text().splitlines():
                    if line.startswith("RssAnon:"):
                        largest = max(largest, int(line.split()[1]))
    return largest / 1024
