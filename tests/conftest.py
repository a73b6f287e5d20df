"""What every test may lean on: a database of its run's own, and a browser that forgives nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError
from pytest_django.live_server_helper import LiveServer

from accounts.identities import resolving, token_facts
from accounts.people import languages
from accounts.scopes import told_teams
from logs.models import offered
from logs.rollups import pending
from routescope import embedded
from routescope.data import outages, partitions, troubles
from routescope.embedded import place
from routescope.web import notices
from tests import emptying
from tests.browsers import BROWSER_ARGS, chromium
from tests.cast import admin, alice, alice_client, bob, charlie, gateway, ingest_key, standing_clock
from tests.moments import distinct_moments
from tests.oidc_cast import oidc_server, provider
from tests.ports import another_port, port

__all__ = [
    "admin",
    "alice",
    "alice_client",
    "another_port",
    "bob",
    "charlie",
    "distinct_moments",
    "gateway",
    "ingest_key",
    "oidc_server",
    "port",
    "provider",
    "standing_clock",
]

# Machines are shared: how long one example, or one step of a browser, takes says nothing.
settings.register_profile("routescope", deadline=None)
settings.load_profile("routescope")

_PATIENCE = 60_000
"""Milliseconds that a browser waits for what must come."""


def pytest_configure(config: pytest.Config) -> None:
    TransactionTestCase._fixture_teardown = emptying.empty  # type: ignore[attr-defined]
    expect.set_options(timeout=_PATIENCE)
    config.addinivalue_line(
        "markers",
        "expects_browser_errors(*patterns): console, page and request errors that match one of the regular "
        "expressions do not fail the test; without patterns, none does",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: half of the time, a test waits for a process, a browser or the clock."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a browser, and run them last: its event loop stays for the rest of the run.

    Of both kinds the slow ones come first, lest one worker ends long after the others. Last of the hooks,
    after whichever one shuffled the tests.
    """
    for item in items:
        if {"browser", "page"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
    marked = pytest.Item.get_closest_marker
    items.sort(key=lambda item: (marked(item, "browser") is not None, marked(item, "slow") is None))


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    """Forget what the product keeps in a process: nothing of one test reaches the next."""
    resolving._latest = resolving._Known()
    token_facts._known.clear()
    told_teams._known.clear()
    offered.forget()
    pending._appended.rows = 0
    languages.offered.cache_clear()
    outages.database.forget()
    outages.queue.forget()
    troubles._lines.forget()
    partitions._put_off.clear()
    notices._Silence.until = 0.0


# --- Database ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def engines() -> Iterator[None]:
    """PostgreSQL and Valkey for this run, unless DATABASE_URL and REDIS_URL name others."""
    with embedded.engines(durable=False):
        yield


@pytest.fixture(scope="session")
def database_name() -> Iterator[str]:
    """A name that no other run of this checkout uses, so that two may run at once."""
    locks = place.state() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        for number in range(1, 100):
            lock = stack.enter_context((locks / f"test-database-{number}").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"test_routescope_{number}"
            return
    raise RuntimeError("99 test runs hold a database each.")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(engines: None, database_name: str) -> None:
    """Where pytest-django's set-up of the test database begins: the engines must run by then."""
    connection.settings_dict["TEST"]["NAME"] = database_name


# --- Browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Without one the test is skipped, or fails where REQUIRE_BROWSER is set."""
    program = chromium()
    if program is None:
        reason = "No Chromium or Chrome is installed (CHROMIUM names one elsewhere)."
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    # The browser's event loop runs in this thread, where Django then refuses to open its database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*BROWSER_ARGS, *sandbox])
        yield running
        running.close()


@dataclass(frozen=True)
class Device:
    """What a browser runs on: the size of its window in CSS pixels, and whether fingers touch it."""

    width: int = 1280
    height: int = 800
    touch: bool = False


@pytest.fixture
def device() -> Device:
    """A desk's browser; a module that needs another overrides this."""
    return Device()


class UnderWay:
    """How many requests the process is answering: of a live server, in threads beside the test's."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._count = 0

    def started(self, **_: object) -> None:
        with self._change:
            self._count += 1

    def finished(self, **_: object) -> None:
        with self._change:
            self._count -= 1
            self._change.notify_all()

    def wait_for_none(self) -> None:
        """Return when every request has its answer; a minute is more than any takes."""
        with self._change:
            assert self._change.wait_for(lambda: self._count <= 0, timeout=60), (
                f"{self._count} requests have no answer"
            )


@pytest.fixture
def under_way() -> Iterator[UnderWay]:
    """The requests that have begun since this test has."""
    counted = UnderWay()
    request_started.connect(counted.started)
    request_finished.connect(counted.finished)
    yield counted
    request_started.disconnect(counted.started)
    request_finished.disconnect(counted.finished)


@pytest.fixture
def context(
    request: pytest.FixtureRequest,
    browser: Browser,
    live_server: LiveServer,
    device: Device,
    under_way: UnderWay,
) -> Iterator[BrowserContext]:
    """A fresh browser profile on the live server; the test fails on any error that it did not announce.

    Errors are: console errors (what the Content-Security-Policy blocks, say), uncaught exceptions, requests
    that fail, requests to any other host, and a tab that crashes.
    """
    opened = browser.new_context(
        base_url=live_server.url,
        has_touch=device.touch,
        locale="en-US",
        reduced_motion="reduce",
        timezone_id="UTC",
        viewport={"width": device.width, "height": device.height},
    )
    opened.set_default_timeout(_PATIENCE)
    errors: list[str] = []
    _listen(opened, urlsplit(live_server.url).netloc, errors.append)
    failed_before = request.session.testsfailed
    yield opened
    if request.session.testsfailed > failed_before:
        _picture(opened, request.node.name)
    opened.close()
    # What the page had asked for last still reads the database, which the test is about to lose.
    under_way.wait_for_none()
    marker = request.node.get_closest_marker("expects_browser_errors")
    if marker is not None:
        errors = [
            error for error in errors if marker.args and not any(re.search(p, error) for p in marker.args)
        ]
    assert not errors, "The browser complained:\n" + "\n".join(errors)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page in a fresh profile; ``page.goto("/records/usage/")`` leads to the live server."""
    return context.new_page()


def _listen(context: BrowserContext, host: str, report: Callable[[str], None]) -> None:
    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            report(f"console: {message.text} ({message.location.get('url')})")

    def exception(error: WebError) -> None:
        report(f"exception: {error.error}")

    def asked(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != host:
            report(f"request to another host: {request.url}")

    def failed(request: Request) -> None:
        # Leaving a page, or asking anew, drops what is under way: not an error.
        if request.failure != "net::ERR_ABORTED":
            report(f"request failed: {request.method} {request.url}: {request.failure}")

    def opened(page: Page) -> None:
        page.on("crash", lambda crashed: report(f"the tab crashed: {crashed.url}"))

    context.on("page", opened)
    context.on("console", console)
    context.on("weberror", exception)
    context.on("request", asked)
    context.on("requestfailed", failed)


def _picture(context: BrowserContext, test: str) -> None:
    folder = place.state() / "failed"
    name = re.sub(r"[^\w.-]+", "-", test)
    for number, shown in enumerate(context.pages):
        # A tab that has crashed has no picture; that it has is among the errors.
        with contextlib.suppress(PlaywrightError):
            shown.screenshot(path=folder / f"{name}-{number}.png", full_page=True)
