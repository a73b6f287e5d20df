"""What is typed into a search reaches the server in a form's body, and no address: it may be a key."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.contrib import admin as django_admin
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from accounts.models import Gateway, User
from logs.usage import views as usage_views
from routescope.text import pasted
from tasks.tab import views as task_views
from tests.cast import event, signed_in, store
from tests.e2e import hands
from tests.pace import at_rest
from tests.secret_kinds import BY_SHAPE, drawn
from tests.task_cast import a_task

TABS = [("/records/usage/", "request_id"), ("/records/tasks/", "task_id")]
KEY = drawn(BY_SHAPE["openai project"], "asking")[0]
TOLD = KEY[-12:]
LISTS = [
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for model in django_admin.site._registry
]
FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
TOKEN = re.compile(r"\b[A-Za-z0-9]{64}\b")
WORDS = re.compile(r"<input\b(?=[^>]*\btype=\"(?:search|text)\")")

on_both_tabs = pytest.mark.parametrize(("path", "box"), TABS, ids=["usage", "tasks"])


@pytest.fixture(autouse=True)
def rows(alice: User, gateway: Gateway) -> None:
    store(gateway, event(alice))
    a_task(alice, gateway)


# --- The tabs ----------------------------------------------------------------------------------------------


@on_both_tabs
def test_a_form_leads_to_the_address_of_what_it_asks_for(alice_client: Client, path: str, box: str) -> None:
    form = {box: "", "model": ["gpt-5", ""], "shown_range": "30d", "start": "", "end": ""}
    response = alice_client.post(path, form)
    assert response.status_code == 302
    assert parse_qs(urlsplit(response["Location"]).query) == {"model": ["gpt-5"], "range": ["30d"]}
    assert alice_client.post(path, {box: ""})["Location"] == path


@on_both_tabs
@pytest.mark.parametrize(
    "typed", [KEY, f"Authorization: Bearer {KEY}", f"curl 'https://a.example/?key={KEY}'"]
)
def test_a_key_reaches_no_address(alice_client: Client, path: str, box: str, typed: str) -> None:
    plain = alice_client.post(path, {box: typed})
    assert TOLD not in plain["Location"] and "sk-" in plain["Location"]
    shown = alice_client.get(plain["Location"])
    assert "API key" in shown.content.decode()
    fragment = alice_client.post(f"{path}results/", {box: typed}, headers={"HX-Request": "true"})
    assert fragment["HX-Push-Url"] == plain["Location"]
    assert TOLD not in shown.content.decode() + fragment.content.decode()


@on_both_tabs
def test_of_a_pasted_message_its_id_alone_reaches_the_address(
    alice_client: Client, path: str, box: str
) -> None:
    typed = f"Error code: 429, try again later (request id: req_8f3a9c21). {'您的账户已达到速率限制' * 200}"
    answer = alice_client.post(path, {box: typed, "model": "gpt-5"})
    assert parse_qs(urlsplit(answer["Location"]).query) == {"model": ["gpt-5"], box: ["req_8f3a9c21"]}
    fragment = alice_client.post(f"{path}results/", {box: typed}, headers={"HX-Request": "true"})
    assert fragment["HX-Push-Url"] == f"{path}?{box}=req_8f3a9c21"


@pytest.mark.usefixtures("standing_clock")
@on_both_tabs
def test_a_form_and_its_address_show_the_same(alice_client: Client, path: str, box: str) -> None:
    for form in (
        {box: "no-such-id"},
        {"model": "gpt-5", "range": "30d"},
        {"model": "nobody", "start": "junk"},
    ):
        sent = alice_client.post(f"{path}results/", form, headers={"HX-Request": "true"})
        asked = alice_client.get(f"{path}results/", form, headers={"HX-Request": "true"})
        assert (sent.status_code, sent["HX-Push-Url"]) == (asked.status_code, asked["HX-Push-Url"])
        # Django draws the form's token anew for each page.
        shown = [TOKEN.sub("", page.content.decode()) for page in (sent, asked)]
        assert shown[0] == shown[1]


@on_both_tabs
def test_a_form_needs_no_token_and_any_other_method_is_refused(alice: User, path: str, box: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(path, {box: "x"}).status_code == 302
    assert client.put(path).status_code == 405


@on_both_tabs
def test_a_session_that_ended_leads_back_to_what_the_form_asked_for(
    client: Client, path: str, box: str
) -> None:
    form = {"model": "gpt-5", box: KEY, "start": "", "csrfmiddlewaretoken": "t"}
    answer = client.post(f"{path}results/", form, headers={"HX-Request": "true"})
    after = parse_qs(urlsplit(answer["HX-Redirect"]).query)["next"][0]
    assert after == f"{path}?model=gpt-5&{box}={quote(f'sk-…{KEY[-4:]}')}"


@on_both_tabs
@pytest.mark.parametrize("piece", ["token=", "ey1-", "cookie: a", "\u5bc6\u7801\uff1a"])
def test_a_form_of_any_length_costs_a_stranger_more_than_us(
    client: Client, alice_client: Client, path: str, box: str, piece: str
) -> None:
    for who in (client, alice_client):
        post = partial(who.post, f"{path}results/", {box: piece * 100_000}, headers={"HX-Request": "true"})
        assert at_rest(post) < 3
        answer = post()
        assert answer.status_code in (200, 404)
        assert max(map(len, answer.headers.values())) < 10_000


@pytest.mark.parametrize(
    ("path", "module", "part"),
    [("/records/usage/", usage_views, "usage_filter"), ("/records/tasks/", task_views, "task_filter")],
    ids=["usage", "tasks"],
)
def test_while_the_database_is_away_a_form_can_be_tried_again(
    alice_client: Client, monkeypatch: pytest.MonkeyPatch, path: str, module: Any, part: str
) -> None:
    def away(*_args: object, **_more: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(module, part, away)
    alice_client.raise_request_exception = False
    page = alice_client.post(path, {"model": "gpt-5", "request_id": KEY})
    assert page.status_code == 503
    assert f'href="{path}?model=gpt-5&amp;request_id=sk-' in page.content.decode()
    assert TOLD not in page.content.decode()


# --- The admin's lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", LISTS)
def test_a_key_typed_into_a_list_of_the_admin_reaches_no_address(admin: User, url: str) -> None:
    client = signed_in(admin)
    query = {"q": KEY, "_search": "1", "range": "30d", "csrfmiddlewaretoken": "t", "start": ""}
    answer = client.post(url, query)
    assert answer.status_code == 302
    asked = parse_qs(urlsplit(answer["Location"]).query)
    assert asked.keys() == {"q", "range"} and asked["q"][0].startswith("redacted-")
    # Typed into the address by hand, it leaves that at once.
    by_hand = client.get(url, {"q": KEY})
    assert by_hand.status_code == 302 and TOLD not in by_hand["Location"]


@pytest.mark.parametrize("typed", ["pwd=abcd", "pin: 1234", "password=x9", "token=" + "a1B2" * 30])
@pytest.mark.parametrize("url", LISTS[:3])
def test_a_short_secret_leaves_the_address_of_a_list_once(admin: User, url: str, typed: str) -> None:
    client = signed_in(admin)
    for answer in (client.get(url, {"q": typed}), client.post(url, {"q": typed, "_search": "1"})):
        assert answer.status_code == 302 or not pasted.key_in(typed)
        followed = client.get(answer["Location"]) if answer.status_code == 302 else answer
        assert followed.status_code == 200
        assert not pasted.key_in(
            parse_qs(urlsplit(answer.headers.get("Location", "")).query).get("q", [""])[0]
        )


def test_a_search_of_the_admin_leads_to_what_it_found(admin: User) -> None:
    client = signed_in(admin)
    page = client.post(reverse("admin:accounts_user_changelist"), {"q": "alice", "_search": "1"}, follow=True)
    assert page.redirect_chain == [("/admin/accounts/user/?q=alice", 302)]
    assert "alice@example.com" in page.content.decode()


# --- Every form there is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [*LISTS, *(path for path, _ in TABS), "/exports/", "/tokens/", "/profile/"])
def test_no_form_with_a_box_for_words_writes_into_the_address(admin: User, url: str) -> None:
    page = signed_in(admin).get(url).content.decode()
    for attributes, body in FORM.findall(page):
        if WORDS.search(body):
            assert 'method="post"' in attributes and "hx-get" not in attributes, attributes


# --- In a browser ------------------------------------------------------------------------------------------


@pytest.mark.expects_browser_errors("404")
def test_no_request_of_a_browser_names_a_pasted_key(page: Page, admin: User, gateway: Gateway) -> None:
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url + str(request.headers)))
    hands.enter(page, "/records/usage/", "admin@example.com")
    expect(page.get_by_role("heading", name="Operation Records")).to_be_visible()
    for path, box in (
        *((path, "#search-id") for path, _ in TABS),
        ("/admin/logs/usagerecord/", "#id_q"),
        ("/admin/tasks/asynctask/", "#id_q"),
        ("/admin/accounts/user/", "#searchbar"),
    ):
        page.goto(path)
        field = page.locator(box)
        hands.write(field, KEY)
        page.keyboard.press("Enter")
        expect(field).to_have_value(re.compile(r"^(sk-…|redacted-)"))
        addresses.append(page.url)
    assert len(addresses) > 10
    assert not [one for one in addresses if TOLD in one]
