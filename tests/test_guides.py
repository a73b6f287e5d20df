"""The guides inside the console."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import Resolver404, resolve, reverse

from accounts.models import User
from routescope.web.guides import EXAMPLE_URL, guides


@pytest.fixture
def reader(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_user("ann@example.com", "correct horse"))
    return client


def test_every_guide_is_listed_and_opens(reader: Client) -> None:
    index = reader.get(reverse("learn")).content.decode()
    assert {
        "gateways/litellm",
        "gateways/opentelemetry",
        "gateways/new-api",
        "gateways/http",
    } <= guides().keys()
    for slug, guide in guides().items():
        assert f'href="{reverse("guide", args=[slug])}"' in index
        assert guide.title in index
        page = reader.get(reverse("guide", args=[slug]))
        text = page.content.decode()
        assert page.status_code == 200
        assert len(text) > 1000


@pytest.mark.parametrize("name", ["litellm", "opentelemetry", "new-api", "http"])
def test_a_gateways_guide_says_how_to_check_it_and_what_to_do(reader: Client, name: str) -> None:
    text = reader.get(reverse("guide", args=[f"gateways/{name}"])).content.decode()
    assert "<h2>Check that it works</h2>" in text
    assert "<h2>Troubleshooting</h2>" in text
    assert "<table>" in text


def test_a_guide_names_this_installations_own_address(
    reader: Client, settings: pytest.FixtureRequest
) -> None:
    settings.BASE_URL = "https://console.test"  # type: ignore[attr-defined]
    text = reader.get(reverse("guide", args=["gateways/litellm"])).content.decode()
    assert "https://console.test/api/v1/ingest/litellm" in text
    assert EXAMPLE_URL not in text


def test_the_addresses_in_the_guides_exist() -> None:
    for guide in guides().values():
        for path in re.findall(rf"{EXAMPLE_URL}(/[\w/.-]*)", guide.source):
            try:
                resolve(path)
            except Resolver404:
                pytest.fail(f"{guide.slug} sends to {path}, which does not exist")


@pytest.mark.parametrize("slug", ["gateways/none", "../README", "gateways/../../manage", "gateways"])
def test_nothing_else_is_shown(reader: Client, slug: str) -> None:
    assert reader.get(f"/learn/{slug}/").status_code == 404


def test_guides_are_for_those_who_are_signed_in(client: Client, db: None) -> None:
    assert client.get(reverse("learn")).status_code == 302
