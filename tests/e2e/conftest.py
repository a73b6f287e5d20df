"""Records with something to choose in every menu, and the hands and windows to choose with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from accounts.models import AIModel, ApiToken, Gateway, SavedView, User
from logs.models import Status
from logs.models.events import Failure
from tests import task_cast
from tests.cast import event, store
from tests.conftest import Device
from tests.e2e import hands
from tests.e2e.hands import Finger, Hand, Keyboard, Mouse


@dataclass(frozen=True)
class Seat:
    """Where somebody sits, and what they use."""

    device: Device
    hand: type[Hand]


def _seat(hand: type[Hand], width: int, height: int) -> object:
    seat = Seat(Device(width, height, touch=hand is Finger), hand)
    return pytest.param(seat, id=f"{hand.name}-{width}")


# Each hand, and each width that has a layout of its own, at the places where they are met.
SEATS = [
    _seat(Mouse, 1440, 900),
    _seat(Keyboard, 1440, 900),
    _seat(Finger, 1024, 768),
    _seat(Mouse, 390, 844),
    _seat(Finger, 390, 844),
]


@pytest.fixture(params=SEATS)
def seat(request: pytest.FixtureRequest) -> Seat:
    """A hand at a window."""
    chosen: Seat = request.param
    return chosen


LIMITED: dict[str, Any] = {
    "status": Status.ERROR,
    "http_status": 429,
    "error": Failure(type="rate_limit_error", message="Too many requests."),
}


@pytest.fixture
def varied(gateway: Gateway, alice: User) -> None:
    """Sixty calls and eight tasks of the last hours, no two of one moment, with something in every menu."""
    now = timezone.now().replace(microsecond=0) - timedelta(minutes=5)
    store(
        gateway,
        *(
            event(
                request_id=f"req_{number:032x}",
                created_at=now - timedelta(minutes=number),
                token=("prod", "staging", "a-token-whose-name-is-rather-long-for-a-menu")[number % 3],
                model=("gpt-5", "claude-sonnet")[number % 2],
                group=("default", "vip")[number % 4 == 0],
                stream=number % 2 == 0,
                endpoint="/v1/chat/completions",
                duration_ms=1000 + number,
                **({} if number % 5 else LIMITED),
            )
            for number in range(60)
        ),
    )
    video, picture = (AIModel.objects.create(name=name) for name in ("gen-video", "gen-picture"))
    prod = ApiToken.objects.get(name="prod")
    for number in range(8):
        task_cast.a_task(
            alice,
            gateway,
            submitted_at=now - timedelta(minutes=10 * number),
            status=("succeeded", "failed")[number % 2],
            type=("video", "image")[number % 2],
            platform=("runway", "replicate")[number % 2],
            model=(video, picture)[number % 2],
            token=prod,
        )
    for tab, failed, model in (("usage", "error", "gpt-5"), ("tasks", "failed", "gen-video")):
        for name, query in (("Failures", f"range=30d&status={failed}"), ("One model", f"model={model}")):
            SavedView.objects.create(user=alice, tab=tab, name=name, query=query)


@pytest.fixture
def hand(page: Page, live_server: LiveServer, varied: None, alice_client: Client, seat: Seat) -> Hand:
    """One of the hands at Alice's page. A module that asks for it makes `device` the seat's."""
    hands.be_known(page)
    return seat.hand(page)
