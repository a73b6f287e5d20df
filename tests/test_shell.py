"""The console's frame: what every page shares, its weight, its policy, its behaviours, its accessibility."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.utils import timezone
from django.views import defaults
from playwright.sync_api import Page, Route, expect

from accounts.models import Gateway, User
from routescope.contracts import navigation
from routescope.contracts.navigation import Entry
from tests.cast import event, signed_in, store
from tests.e2e import hands

ROOT = Path(settings.BASE_DIR)
OWN_TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

# --- The frame ------------------------------------------------------------------------------------------


def test_the_sidebar_shows_only_pages_that_exist(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Entry("Moon base", "moon-base", "globe", 5, ("/moon/",))
    monkeypatch.setattr(navigation, "_entries", {"moon-base": absent, **navigation._entries})
    page = alice_client.get("/profile/").content.decode()
    assert "Operation Records" in page
    assert "Moon base" not in page
    assert 'href=""' not in page


def test_the_sidebar_says_where_one_is(alice_client: Client) -> None:
    page = alice_client.get("/accounts/2fa/").content.decode()
    current = re.findall(r'<a href="([^"]+)" aria-current="page">', page)
    assert set(current) == {"/profile/"}


def test_only_staff_is_led_to_the_admin(alice_client: Client, admin: User) -> None:
    assert "/admin/" not in alice_client.get("/profile/").content.decode()
    assert 'href="/admin/"' in signed_in(admin).get("/profile/").content.decode()


def test_a_name_is_escaped_wherever_it_stands(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(name="<script>alert(1)</script>")
    page = signed_in(alice).get("/profile/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_page_asks_for_the_strict_policy(alice_client: Client) -> None:
    for path in ("/profile/", "/accounts/2fa/", "/nowhere/"):
        policy = alice_client.get(path).headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("path", OWN_TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_holds_a_script_a_style_or_a_handler(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\shx-on", source)
    for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", source, re.DOTALL):
        assert 'type="application/json"' in attributes or ("src=" in attributes and not body.strip())


def test_every_style_sheet_and_script_is_linked_by_some_page() -> None:
    pages = [*OWN_TEMPLATES, *ROOT.glob("[a-z]*/**/*.py")]
    sources = "".join(path.read_text() for path in pages)
    for path in [*(ROOT / "static" / "css").glob("*.css"), *(ROOT / "static" / "js").glob("*.js")]:
        assert f"/{path.name}" in sources, f"{path.name} is linked nowhere"


# --- Pages that say what went wrong ---------------------------------------------------------------------


def test_a_page_that_is_not_there_says_so_and_leads_back(client: Client, db: None) -> None:
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()


def test_a_form_without_its_token_says_that_nothing_was_saved(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    response = client.post("/profile/", {"name": "Eve"})
    assert response.status_code == 403
    assert "Nothing was saved" in response.content.decode()


@pytest.mark.parametrize(
    ("view", "status", "says"),
    [
        (defaults.bad_request, 400, "The request was not understood"),
        (defaults.permission_denied, 403, "You do not have access to this page"),
        (defaults.page_not_found, 404, "Page not found"),
    ],
)
def test_an_error_page_renders_for_anybody(view: Any, status: int, says: str) -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    response = view(request, ValueError())
    assert response.status_code == status
    assert says in response.content.decode()


def test_the_page_of_a_failed_server_depends_on_nothing() -> None:
    response = defaults.server_error(RequestFactory().get("/"))
    assert response.status_code == 500
    page = response.content.decode()
    assert "The server could not answer" in page
    assert "{%" not in page


# --- In a browser ---------------------------------------------------------------------------------------


ANYBODYS = (
    "/accounts/login/",
    "/accounts/password/reset/",
    "/accounts/signup/",
    "/invite/1/x-y/",
    "/nowhere/",
)
OWN = (
    "/records/usage/",
    "/profile/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/webauthn/",
    "/accounts/sessions/",
    "/accounts/reauthenticate/",
    "/accounts/logout/",
)


WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")


def faults(page: Page, *rules: str) -> list[str]:
    """Return what axe finds against WCAG 2.1 A and AA, and further ``rules``."""
    # Not beforehand: what a style sheet imports (Django's forms.css) axe reads by an inline style of its own.
    options = {"runOnly": [*WCAG, *rules], "preload": False}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{v['id']}: {node['html']}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.expects_browser_errors("status of 404")
def test_account_pages_are_accessible(page: Page, alice: User, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ANYBODYS:
        page.goto(path)
        assert faults(page, "best-practice") == [], path
    hands.enter(page, "/records/usage/")
    for path in OWN:
        page.goto(path)
        assert faults(page, "best-practice") == [], path


def test_the_first_tab_skips_to_the_content(page: Page, alice: User) -> None:
    hands.enter(page, "/profile/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_menu_of_a_narrow_window_opens_closes_and_gives_focus_back(page: Page, alice: User) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    hands.enter(page, "/profile/")
    menu = page.locator(".topbar summary")
    menu.click()
    entry = page.locator(".topbar").get_by_role("link", name="Operation Records")
    expect(entry).to_be_visible()
    page.keyboard.press("Escape")
    expect(entry).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    # Below the menu, wherever the page's own words stand in this machine's fonts.
    page.mouse.click(20, 780)
    expect(entry).to_be_hidden()


# --- Behaviours, on the page that uses most of them -----------------------------------------------------


@pytest.fixture
def calls(alice: User, gateway: Gateway) -> None:
    """Three calls of Alice's within the last minutes, the newest first in her list."""
    now = timezone.now()
    for number in range(3):
        moment = now - dt.timedelta(minutes=number)
        store(gateway, event(alice, request_id=f"req_call{number}_0123456789abcdef", created_at=moment))


def test_an_id_is_copied_whole_and_the_page_says_so(page: Page, calls: None) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    hands.enter(page, "/records/usage/")
    button = page.locator("tr.record .copy").first
    hands.tab_to(button)
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("data-said", "Copied")
    expect(page.locator("#announce")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "req_call0_0123456789abcdef"


def test_an_id_is_copied_where_the_clipboard_is_withheld(page: Page, calls: None) -> None:
    page.context.grant_permissions(["clipboard-read"])
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    hands.enter(page, "/records/usage/")
    button = page.locator("tr.record .copy").first
    hands.tab_to(button)
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("data-said", "Copied")
    expect(button).to_be_focused()


def test_rows_are_walked_opened_and_closed_by_keys(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    toggles = page.locator("tr.record .toggle")
    page.keyboard.press("j")
    expect(toggles.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(toggles.nth(2)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    detail = page.locator("tr.record-detail")
    expect(detail).to_be_visible()
    expect(toggles.nth(1)).to_have_attribute("aria-expanded", "true")
    expect(toggles.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(detail).to_be_hidden()
    expect(toggles.nth(1)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("/")
    expect(page.locator(".search-id input")).to_be_focused()
    page.keyboard.type("jk/")
    expect(page.locator(".search-id input")).to_have_value("jk/")


def test_a_row_is_fetched_once_and_then_only_shown(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "details" in request.url else None)
    cell = page.locator("tr.record .c-model").first
    cell.click()
    detail = page.locator("tr.record-detail")
    expect(detail).to_be_visible()
    cell.click()
    expect(detail).to_be_hidden()
    cell.click()
    expect(detail).to_be_visible()
    assert len(fetched) == 1


@pytest.mark.expects_browser_errors("status of 500", "Response Status Error Code 500")
def test_a_failed_swap_says_so_in_place_and_can_be_tried_again(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    failures = iter([True])

    def fail_once(route: Route) -> None:
        if next(failures, False):
            route.fulfill(status=500, body="<h1>No</h1>")
        else:
            route.continue_()

    page.route("**/details/", fail_once)
    page.locator("tr.record .toggle").first.click()
    alert = page.locator(".swap-error")
    expect(alert).to_contain_text("error 500")
    expect(page.get_by_role("heading", name="No", exact=True)).to_have_count(0)
    expect(page.locator("tr.record")).to_have_count(3)
    alert.get_by_role("button", name="Retry").click()
    expect(page.locator("tr.record-detail .detail")).to_be_visible()
    expect(alert).to_have_count(0)


@pytest.mark.expects_browser_errors("ERR_", "htmx:(sendError|afterRequest)")
def test_a_server_out_of_reach_is_said_where_the_answer_would_be(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    page.route("**/records/usage/results/**", lambda route: route.abort("connectionrefused"))
    hands.write(page.locator(".search-id input"), "req_whatever")
    page.keyboard.press("Enter")
    expect(page.locator(".results > .swap-error")).to_contain_text("could not be reached")
    expect(page.locator("tr.record")).to_have_count(3)


def test_a_session_that_ended_leads_to_sign_in_and_back(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/?range=7d")
    page.context.clear_cookies(name="sessionid")
    page.locator("tr.record .toggle").first.click()
    page.wait_for_url("**/accounts/login/?next=**")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    hands.sign_in(page)
    page.wait_for_url("**/records/usage/?range=7d")


def test_one_menu_is_open_at_a_time_and_typing_narrows_it(page: Page, calls: None) -> None:
    hands.enter(page, "/records/usage/")
    token = page.locator("details.menu", has=page.locator("summary", has_text="Token"))
    model = page.locator("details.menu", has=page.locator("summary", has_text="Model"))
    token.locator("summary").click()
    model.locator("summary").click()
    expect(token).not_to_have_attribute("open", "")
    search = model.locator(".menu-search")
    expect(search).to_be_focused()
    hands.retype(page, "claude")
    expect(model.locator(".option")).to_be_hidden()
    expect(model.locator(".menu-none")).to_be_visible()
    hands.retype(page, "GPT")
    page.keyboard.press("Enter")
    expect(model.locator(".option input")).to_be_checked()
    page.keyboard.press("ArrowDown")
    expect(model.locator(".option input")).to_be_focused()
    page.keyboard.press("Escape")
    expect(model.locator("summary")).to_be_focused()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_records_and_their_details_are_accessible(page: Page, calls: None, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    hands.enter(page, "/records/usage/")
    page.locator("tr.record .toggle").first.click()
    expect(page.locator("tr.record-detail .detail")).to_be_visible()
    assert faults(page) == []


def test_filters_open_as_a_sheet_on_a_phone(page: Page, calls: None) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    hands.enter(page, "/records/usage/")
    sheet = page.locator("#filters-sheet")
    expect(sheet).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    expect(sheet).to_be_visible()
    sheet.locator("summary", has_text="Model").click()
    expect(sheet.locator(".option", has_text="gpt-5")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
