"""What stays with a person: their pages, their mails' links, their tokens; and what a log line may hold."""

from __future__ import annotations

import logging
import re
import stat
from urllib.parse import quote

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import Export, Gateway, User
from accounts.people import invites
from routescope.run.log_lines import LogLines
from tests.cast import event, signed_in, store

PASSWORD = "alice-password"
NEW = "an-entirely-new-secret"


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    cache.clear()


# --- Caches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/records/usage/",
        "/records/usage/results/",
        "/records/tasks/",
        "/records/tasks/results/",
        "/tokens/",
        "/exports/",
        "/profile/",
        "/accounts/2fa/",
        "/learn/",
        "/r/req_unknown",
        "/nowhere/",
        "/admin/",
        "/admin/accounts/user/",
    ],
)
def test_no_cache_keeps_a_private_page(admin: User, path: str) -> None:
    response = signed_in(admin).get(path)
    assert "no-store" in response["Cache-Control"] and "public" not in response["Cache-Control"]


def test_signing_in_and_out_are_kept_by_no_cache_either(client: Client, alice: User) -> None:
    answer = client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert "no-store" in answer["Cache-Control"]
    assert "no-store" in client.post(reverse("account_logout"))["Cache-Control"]


# --- Files -------------------------------------------------------------------------------------------------


def test_an_exports_files_are_its_owners_alone(alice: User, gateway: Gateway, settings: LazySettings) -> None:
    store(gateway, event(alice))
    export = Export.objects.create(
        user=alice, source="usage", format="csv", columns=["created_at", "request_id"], query="range=all"
    )
    exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE
    for path in (export.folder, *export.folder.rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


# --- Mails -------------------------------------------------------------------------------------------------


def test_links_in_mails_lead_to_the_consoles_own_address(
    client: Client, alice: User, settings: LazySettings, mailoutbox: list[EmailMessage]
) -> None:
    """Whatever host the asker claims: a link to it would hand the asker the token."""
    settings.BASE_URL = "https://routescope.example"
    settings.ALLOWED_HOSTS = ["*"]
    for email in (alice.email, "nobody@example.org"):
        client.post(reverse("account_reset_password"), {"email": email}, headers={"Host": "evil.example"})
    invited = User.objects.create_user("bob@example.org", is_active=False)
    invites.invite(invited)
    assert len(mailoutbox) == 3
    for mail in mailoutbox:
        assert "evil.example" not in f"{mail.subject}{mail.body}"
        links = re.findall(r"https?://\S+", str(mail.body))
        assert all(link.startswith("https://routescope.example/") for link in links)
    assert "https://routescope.example/accounts/password/reset/key/" in mailoutbox[0].body


# --- Access tokens -----------------------------------------------------------------------------------------


def read(key: str) -> int:
    return Client().get("/api/v1/usage", headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_changed_password_ends_access_tokens(alice: User, admin: User) -> None:
    by_hand = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    _, key = personal_tokens.issue(alice, "laptop", 30)
    _, others = personal_tokens.issue(admin, "other", 30)
    assert read(key) == 200
    client = Client()
    client.post(reverse("account_login"), {"login": alice.email, "password": PASSWORD})
    assert read(key) == 200, "signing in, which may renew the hash, is no change"
    assert client.post(reverse("account_change_password"), by_hand).status_code == 302
    assert read(key) == 401
    assert read(others) == 200
    _, key = personal_tokens.issue(alice, "laptop", 30)
    by_admin = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    signed_in(admin).post(f"/admin/accounts/user/{alice.pk}/password/", by_admin)
    assert read(key) == 401


def test_other_changes_of_a_person_leave_their_tokens(alice: User) -> None:
    _, key = personal_tokens.issue(alice, "laptop", 30)
    alice = User.objects.get(pk=alice.pk)
    alice.name = "Alice B."
    alice.save()
    assert read(key) == 200


# --- A session that ends in the middle ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        ("/records/usage/results/?model=gpt-5&range=7d", "/records/usage/?model=gpt-5&range=7d"),
        ("/records/tasks/results/?status=failed", "/records/tasks/?status=failed"),
        ("/records/usage/results/", "/records/usage/"),
    ],
)
def test_a_session_that_ended_in_mid_filter_leads_back_to_what_was_asked_for(
    client: Client, asked: str, page: str
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/records/usage/?range=24h"}
    response = client.get(asked, headers=headers)
    assert response["HX-Redirect"] == f"/accounts/login/?next={quote(page, safe='')}"


# --- Log lines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x1b[2K\x1b[1A", "\u202e"]
)
def test_nothing_in_a_message_begins_a_line_or_hides_one(end: str) -> None:
    forged = f"GET /x{end}2026-01-31 09:30:00 INFO accounts: admin signed in"
    formatter = LogLines("{asctime} {levelname} {name}: {message}", style="{")
    record = logging.LogRecord("django", logging.WARNING, __file__, 1, "Not Found: %s", (forged,), None)
    line = formatter.format(record)
    assert len(line.splitlines()) == 1 and "\x1b" not in line and "\u202e" not in line
    assert "admin signed in" in line
    try:
        raise ValueError(forged)
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    record.exc_text = None
    lines = formatter.format(record).splitlines()
    assert len(lines) > 2 and all(one.startswith("    ") for one in lines[1:])


@pytest.mark.parametrize(
    "path", ["/invite/abc/opens-an-account/", "/accounts/password/reset/key/5-opens-an-account/"]
)
def test_no_line_holds_a_link_that_opens_an_account(path: str) -> None:
    formatter = LogLines("{asctime} {levelname} {name}: {message}", style="{")
    for message, args in (
        ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1:1", "GET", path, "1.1", 200)),
        ("Internal Server Error: %s", (path,)),
        ("Not Found: %s", (f"{path}?next=/x",)),
    ):
        line = formatter.format(logging.LogRecord("django", logging.ERROR, __file__, 1, message, args, None))
        assert "opens-an-account" not in line and "[link]" in line
    try:
        raise ValueError(path)
    except ValueError as error:
        told = formatter.formatException((ValueError, error, error.__traceback__))
    assert "opens-an-account" not in told and "[link]" in told


def test_the_products_own_handlers_write_such_lines() -> None:
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            assert isinstance(handler.formatter, LogLines)
