"""Sign-in by an OpenID provider in a real browser, with a real provider's pages between."""

from __future__ import annotations

from typing import Literal

import pytest
from django.conf import LazySettings
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from tests.e2e.hands import Mouse, middle, write
from tests.oidc_cast import CALLBACK, change, set_up
from tests.oidc_provider import OpenIDProvider
from tests.test_shell import faults

pytestmark = pytest.mark.django_db(transaction=True)

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def live(provider: OpenIDProvider, live_server: LiveServer, settings: LazySettings) -> OpenIDProvider:
    """The provider, with the live server registered as it is."""
    settings.BASE_URL = live_server.url
    set_up(settings, provider)
    return provider


ELSEWHERE = r"request to another host: http://localhost"


@pytest.mark.expects_browser_errors(ELSEWHERE, r"favicon|picocss|cdn")
def test_a_person_signs_in_with_the_mouse(page: Page, live: OpenIDProvider, alice: User) -> None:
    page.goto("/accounts/login/?next=/profile/")
    Mouse(page).press(page.get_by_role("button", name="Sign in with Example Login"))
    expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()
    write(page.locator("input[name=sub]"), "sub-alice")
    Mouse(page).press(page.get_by_role("button", name="Authorize", exact=True))
    expect(page.get_by_label("Name")).to_have_value("Alice")
    expect(page.get_by_text("alice@example.com")).to_be_visible()
    Mouse(page).press(page.get_by_role("button", name="Sign out"), middle)
    expect(page.get_by_role("button", name="Sign in with Example Login")).to_be_visible()


@pytest.mark.expects_browser_errors(ELSEWHERE, r"favicon|picocss|cdn", r"status of 403")
def test_who_says_no_at_the_provider_is_told_so_and_can_try_again(
    page: Page, live: OpenIDProvider, alice: User
) -> None:
    page.goto("/accounts/login/")
    Mouse(page).press(page.get_by_role("button", name="Sign in with Example Login"))
    Mouse(page).press(page.locator("button[value=deny]"))
    expect(page.get_by_text("Example Login did not sign you in.")).to_be_visible()
    Mouse(page).press(page.get_by_role("link", name="Back to sign-in"))
    expect(page.get_by_role("button", name="Sign in with Example Login")).to_be_visible()


@pytest.mark.expects_browser_errors(r"status of 503")
def test_a_provider_out_of_order_in_the_browser(page: Page, live: OpenIDProvider) -> None:
    live.lie(status={DISCOVERY: 500})
    page.goto("/accounts/login/")
    Mouse(page).press(page.get_by_role("button", name="Sign in with Example Login"))
    expect(page.get_by_role("heading", name="Example Login does not answer")).to_be_visible()


@pytest.mark.expects_browser_errors(r"status of (403|503)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390, 320])
def test_the_pages_of_single_sign_on_are_accessible(
    page: Page, live: OpenIDProvider, settings: LazySettings, scheme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    live.lie(status={DISCOVERY: 500})
    name = "W" * 30
    change(settings, name=name)
    for password_sign_in in (True, False):
        settings.PASSWORD_SIGN_IN = password_sign_in
        page.goto("/accounts/login/")
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        Mouse(page).press(page.get_by_role("button", name=f"Sign in with {name}"))
        expect(page.get_by_role("heading", name=f"{name} does not answer")).to_be_visible()
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto(f"{CALLBACK}?state=made-up")
        expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
        assert faults(page) == []
