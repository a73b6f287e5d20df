"""The demo's gateway at the console's door: its messages reach the API without a network, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar

import msgspec
import pytest
from django.test import Client as Browser
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, IngestKey
from routescope.demo import book, by_hand
from routescope.demo.book import Book, Sender
from routescope.demo.delivery import DeliveryAnswer
from routescope.demo.loading import Loaded, load
from routescope.demo.wire import Message

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


class InThisThread(Executor):
    """Does what it is given at once, where the test's transaction is."""

    def submit(
        self, fn: Callable[_Given, _Made], /, *args: _Given.args, **kwargs: _Given.kwargs
    ) -> Future[_Made]:
        done: Future[_Made] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Door:
    """The console's API for one gateway; keeps what came."""

    def __init__(self, gateway: Gateway) -> None:
        self._browser, self._key = Browser(), IngestKey.issue(gateway)[1]
        self.came: list[Message] = []

    def send(self, message: Message) -> DeliveryAnswer:
        answer = self._browser.generic(
            message.method,
            message.path,
            message.body,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {self._key}"},
        )
        assert answer.status_code == 200, answer.content
        self.came.append(message)
        return msgspec.json.decode(answer.content, type=DeliveryAnswer)


def objects(messages: list[Message], method: str, path: str) -> list[dict[str, Any]]:
    """Return what messages of one kind hold."""
    bodies = [message.body for message in messages if (message.method, message.path) == (method, path)]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


class Demo:
    """The demo of a test: its state folder, and its gateway once it is loaded."""

    def __init__(self, state: Path) -> None:
        self.file = state / "demo.json"

    @property
    def gateway(self) -> Gateway:
        found = by_hand.demo_gateway()
        assert found is not None
        return found

    @property
    def book(self) -> Book:
        gateway = self.gateway
        sender = Sender(gateway.pk, gateway.created_at, by_hand.last_sent_at(gateway))
        return Book(sender)

    def forget(self) -> None:
        """Lose the book."""
        self.file.unlink()

    def load(
        self,
        records: int,
        days: int,
        now: datetime,
        deliver: Callable[[Message], DeliveryAnswer] | None = None,
    ) -> Loaded:
        """Load the demo up to ``now``, or what came since it was last loaded."""
        by_hand.make_cast(now)
        book = self.book
        return load(book, book.resume(now, records, days), deliver or Door(self.gateway).send, InThisThread())


@pytest.fixture
def demo(db: None, settings: SettingsWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    """The demo, which is not loaded yet; commands keep its book in the test's folder."""
    # Tests may run on a database of the machine's.
    settings.ONLY_THIS_MACHINE = True
    monkeypatch.setattr(book, "place", SimpleNamespace(state=lambda: tmp_path))
    return Demo(tmp_path)
