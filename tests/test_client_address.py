"""Whose request it is behind proxies, and who is locked out by whose wrong passwords."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from allauth.usersessions.models import UserSession
from django.conf import LazySettings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, User
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from routescope import settings as product
from routescope.config import env
from routescope.wire.client_address import client_of, network_of
from routescope.wire.reading import address

PROXY = "10.0.0.1"
PASSWORD = "alice-password"


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    cache.clear()


@pytest.mark.parametrize(
    ("chain", "trusted", "client"),
    [
        ("203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.0.0.2", 2, "203.0.113.9"),
        ("203.0.113.9", 3, "203.0.113.9"),
        ("203.0.113.9:4711", 1, "203.0.113.9"),
        ("[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("2001:db8::1%eth0", 1, "2001:db8::1"),
        ('"[2001:db8::1]"', 1, "2001:db8::1"),
        ("unknown", 1, None),
        ("6.6.6.6, unknown", 1, None),
        ("", 1, None),
        (" , ,", 1, None),
    ],
)
def test_as_many_entries_are_believed_as_there_are_proxies(
    chain: str, trusted: int, client: str | None
) -> None:
    assert client_of(chain, trusted) == client


def test_a_records_own_address_follows_the_same_setting(settings: LazySettings) -> None:
    settings.TRUSTED_PROXIES = 2
    assert address("6.6.6.6, 203.0.113.9, 10.0.0.2") == "203.0.113.9"
    settings.TRUSTED_PROXIES = 0
    assert address("203.0.113.9") == "203.0.113.9"
    assert address(None) is None


def sign_in(email: str, password: str, *, peer: str = PROXY, forwarded: str = "") -> bool:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    body = {"login": email, "password": password}
    client = Client(REMOTE_ADDR=peer)
    return client.post(reverse("account_login"), body, headers=headers).status_code == 302


def test_behind_a_proxy_one_client_does_not_lock_all_others_out(settings: LazySettings, alice: User) -> None:
    settings.TRUSTED_PROXIES = 1
    for number in range(12):
        sign_in(f"{number}@example.org", "wrong", forwarded="203.0.113.9")
    assert not sign_in("alice@example.com", PASSWORD, forwarded="203.0.113.9")
    assert sign_in("alice@example.com", PASSWORD, forwarded="198.51.100.7")


def test_a_client_that_makes_up_a_chain_is_still_one_client(settings: LazySettings, alice: User) -> None:
    settings.TRUSTED_PROXIES = 1
    for number in range(12):
        sign_in(f"{number}@example.org", "wrong", forwarded=f"6.6.6.{number}, 203.0.113.9")
    assert not sign_in("alice@example.com", PASSWORD, forwarded="6.6.6.200, 203.0.113.9")


def test_without_a_proxy_of_ours_nobody_is_believed(settings: LazySettings, alice: User) -> None:
    settings.TRUSTED_PROXIES = 0
    for number in range(12):
        sign_in(f"{number}@example.org", "wrong", forwarded=f"6.6.6.{number}")
    assert not sign_in("alice@example.com", PASSWORD, forwarded="6.6.6.200")


def test_a_strangers_wrong_passwords_lock_nobody_out_elsewhere(alice: User) -> None:
    for _attempt in range(6):
        assert not sign_in("alice@example.com", "wrong", peer="203.0.113.9")
    assert not sign_in("alice@example.com", PASSWORD, peer="203.0.113.77"), "of the same network"
    assert sign_in("alice@example.com", PASSWORD, peer="198.51.100.7")


def test_strangers_of_many_networks_are_stopped_and_the_owner_is_not(alice: User) -> None:
    assert sign_in("alice@example.com", PASSWORD, peer="198.51.100.7")
    assert UserSession.objects.get().ip == "198.51.100.7"
    for number in range(101):
        sign_in("alice@example.com", "wrong", peer=f"10.1.{number}.1")
    assert not sign_in("alice@example.com", PASSWORD, peer="10.2.0.1")
    assert sign_in("alice@example.com", PASSWORD, peer="198.51.100.8")


def test_the_audit_log_names_the_client_and_not_the_proxy(settings: LazySettings, admin: User) -> None:
    settings.TRUSTED_PROXIES = 1
    client = Client(REMOTE_ADDR=PROXY, headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    client.force_login(admin)
    client.post("/admin/accounts/group/add/", {"name": "vip", "ratio": "1", "description": ""})
    assert AuditEntry.objects.get().ip == "203.0.113.9"


def test_networks_are_told_apart() -> None:
    assert network_of("203.0.113.9") == network_of("203.0.113.200") == "203.0.113.0/24"
    assert network_of("2001:db8::1") == network_of("2001:db8:0:1::1") != network_of("2001:db9::1")
    assert network_of("unknown") == network_of(None) == ""


# --- What everybody knows ----------------------------------------------------------------------------------


def test_the_demos_password_opens_nothing_where_others_come(settings: LazySettings) -> None:
    User.objects.create_superuser("admin@example.com", DEMO_PASSWORD)
    User.objects.create_user("colleague@example.com", DEMO_PASSWORD)
    settings.ONLY_THIS_MACHINE = False
    for email in ("admin@example.com", "colleague@example.com"):
        body = {"login": email, "password": DEMO_PASSWORD}
        for url in (reverse("account_login"), reverse("admin:login")):
            client = Client()
            client.post(url, body, follow=True)
            assert "_auth_user_id" not in client.session
        page = Client().post(reverse("account_login"), body).content.decode()
        assert "This is the demo password, which is public" in page
    settings.ONLY_THIS_MACHINE = True
    assert sign_in("admin@example.com", DEMO_PASSWORD)


@pytest.mark.parametrize(
    "key",
    [
        "short",
        "a" * 60,
        "django-insecure-" + "x7Kq" * 12,
        "changeme" * 8,
        "12345678" * 5,
        "my-secret-key" * 5,
    ],
)
def test_a_key_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("SECRET_KEY", key)
    with pytest.raises(ImproperlyConfigured, match="can be guessed"):
        env.secret_key("SECRET_KEY")


def test_a_key_by_the_readmes_own_command_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made = re.findall(r"python3? -c '(import secrets; .*?)'", Path(".env.example").read_text())
    assert made == ["import secrets; print(secrets.token_urlsafe(50))"]
    for key in (
        "pXl4bq0e9wqMZ0mUe2mFJjWv3lZ5Wc7bnnD1Gqz3m5lcS",
        "3f786850e387550fdab836ed7e6dc881de23001b",
    ):
        monkeypatch.setenv("SECRET_KEY", key)
        assert env.secret_key("SECRET_KEY") == key


def test_the_tests_run_where_only_this_machine_comes() -> None:
    assert product.ONLY_THIS_MACHINE
