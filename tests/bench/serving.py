"""The web server on a bench database: pages timed over HTTP, and many people at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User, UserIdentity
from tests.bench.reading import MONTH

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
        [sys.executable, "-m", "gunicorn", "-c", "routescope/gunicorn.py"],
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


def milliseconds(port: int, cookie: str, path: str = PATH, repeats: int = 9) -> float:
    """Return the median time of a page over HTTP, after one that warms it."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        fetch(port, cookie, path)
        times.append((time.perf_counter() - started) * 1000)
    return median(times[1:])


def fetch(port: int, cookie: str, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=60) as answer:
        if answer.url.endswith("/login/") or answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status} at {answer.url}")
        return bytes(answer.read())


def crowd(port: int, cookie: str, people: int = 50, each: int = 4) -> tuple[float, float, int]:
    """Let many people open the list at once; return p50 and p95 in milliseconds, and how many failed."""
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
    return spread[9], spread[18], len(failed)


def resident_megabytes(port: int) -> float:
    """Return the memory of the server's processes that listen on a port, in MiB (Linux)."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            environment = (status.parent / "environ").read_bytes()
            if f"PORT={port}\0".encode() in environment and b"DATABASE_URL" in environment:
                for line in status.read_text().splitlines():
                    if line.startswith("RssAnon:"):
                        total += int(line.split()[1])
    return total / 1024
