"""Links of the operator's own: what is filled in, and what the system check refuses."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from logs.models import Status
from logs.models.events import Failure
from routescope.config import links
from tests.cast import event, signed_in, store

TEMPLATE = "https://play.example/{task_type}?model={model}&path={endpoint}&id={request_id}"


def test_values_are_quoted_and_missing_ones_are_empty() -> None:
    filled = links.filled(TEMPLATE, model="a/b c&d=1#", endpoint="/v1/chat", request_id="{model}")
    assert filled == "https://play.example/?model=a%2Fb%20c%26d%3D1%23&path=%2Fv1%2Fchat&id=%7Bmodel%7D"
    assert (
        links.filled("https://play.example/{type}/{platform}", task_type="video")
        == "https://play.example/video/"
    )
    assert links.filled("", model="gpt-5") == ""


@pytest.mark.parametrize(
    "fine", ["", TEMPLATE, "http://10.0.0.1:8080/{platform}/{type}", "https://ref.example/#{endpoint}"]
)
def test_links_that_can_be_followed_are_taken(settings: SettingsWrapper, fine: str) -> None:
    settings.PLAYGROUND_URL = fine
    assert links.check() == []


@pytest.mark.parametrize(
    "bad",
    [
        "javascript:alert(1)",
        "//play.example/",
        "play.example/{model}",
        "https://",
        "https:///path",
        "https://play.example/{modell}",
        "https://play.example/{model",
        "https://play.example/model}",
        "https://play.example/{}",
        "https://{model}.example/",
        "https://play.example:port/",
        "https://[play/",
        "https://user:secret@play.example/",
        "https://play.example/a b",
    ],
)
@pytest.mark.parametrize("name", [*links.TEMPLATES, *links.PAGES])
def test_links_that_nobody_could_follow_are_refused_at_the_start(
    settings: SettingsWrapper, name: str, bad: str
) -> None:
    setattr(settings, name, bad)
    assert [fault.id for fault in links.check()] == ["routescope.E002"] * len(links.check()) != []


def test_terms_and_privacy_name_no_model(settings: SettingsWrapper) -> None:
    settings.TERMS_URL = "https://op.example/{model}"
    assert len(links.check()) == 1


@pytest.mark.django_db
def test_a_failed_call_leads_there_and_no_other(
    alice: User, gateway: Gateway, settings: SettingsWrapper
) -> None:
    settings.PLAYGROUND_URL, settings.API_REFERENCE_URL = TEMPLATE, "https://ref.example/{endpoint}"
    store(
        gateway,
        event(
            request_id="req_bad",
            model="gpt-5",
            endpoint="/v1/chat",
            status=Status.ERROR,
            http_status=400,
            error=Failure(type="invalid_request_error", message="Unknown parameter: 'temprature'."),
        ),
        event(request_id="req_good"),
    )
    client = signed_in(alice)
    failed = _shown(client, "req_bad")
    assert 'href="https://play.example/?model=gpt-5&amp;path=%2Fv1%2Fchat&amp;id=req_bad"' in failed
    assert 'href="https://ref.example/%2Fv1%2Fchat"' in failed
    assert "play.example" not in _shown(client, "req_good")
    settings.PLAYGROUND_URL = settings.API_REFERENCE_URL = ""
    assert "Playground" not in _shown(client, "req_bad") and "API reference" not in _shown(client, "req_bad")


def _shown(client: Client, request_id: str) -> str:
    return client.get("/records/usage/", {"request_id": request_id}).content.decode()
