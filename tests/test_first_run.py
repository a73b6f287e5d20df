"""The first run: the first admin, the first steps, and commands that work as they are printed."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import Gateway, IngestKey, User
from accounts.people import first_admin
from logs.models import UsageRecord
from logs.usage.first_run import WATCHED
from tests.cast import event, just_now, signed_in, store

STEPS = "/records/usage/first-steps/"


# --- The first admin ---------------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return []


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    left = iter(lines)
    for name in ("builtins.input", "getpass.getpass"):
        monkeypatch.setattr(name, lambda prompt="": next(left))


def test_without_a_terminal_a_password_is_made_and_told_once(db: None, said: list[str]) -> None:
    out = io.StringIO()
    call_command("create_admin", stdout=out)
    [password] = re.findall(r"^  password  (\S{16})$", out.getvalue(), re.M)
    admin = User.objects.get()
    assert (admin.email, admin.is_superuser, admin.is_staff) == ("admin@localhost", True, True)
    assert admin.check_password(password)
    body = {"login": "admin@localhost", "password": password}
    assert Client().post(reverse("account_login"), body).status_code == 302
    again = io.StringIO()
    call_command("create_admin", stdout=again)
    assert again.getvalue() == ""
    assert User.objects.get().check_password(password)


def test_at_a_terminal_it_is_asked_until_it_can_be_used(
    db: None, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = "a long enough phrase"
    typed(monkeypatch, "no address", "ops@example.com", "12345", good, "another phrase", good, good)
    made = first_admin.make(at_terminal=True, tell=said.append)
    assert made is not None and made.password == ""
    assert User.objects.get(email="ops@example.com").check_password(good)
    assert any("valid email" in line for line in said) and "  The two differ." in said


def test_enter_takes_what_is_offered(db: None, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "", "")
    made = first_admin.make(at_terminal=True, tell=said.append)
    assert made is not None and made.email == "admin@localhost"
    assert User.objects.get().check_password(made.password)


def test_the_environment_may_give_it(db: None, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_EMAIL", "ops@example.com")
    monkeypatch.setenv("ADMIN_PASSWORD", "short")
    with pytest.raises(CommandError, match="ADMIN_PASSWORD cannot be used: This password is too short"):
        call_command("create_admin")
    assert not User.objects.exists()
    monkeypatch.setenv("ADMIN_PASSWORD", "long enough for anybody")
    out = io.StringIO()
    call_command("create_admin", stdout=out)
    assert out.getvalue() == "The first admin is ops@example.com.\n"
    assert User.objects.get().check_password("long enough for anybody")


# --- The first steps ---------------------------------------------------------------------------------------


def ticked(page: str) -> list[bool]:
    return ["is-done" in look for look in re.findall(r'<li class="step([^"]*)"', page)]


def test_an_admin_is_led_to_the_right_forms_and_each_step_ticks_itself_off(admin: User) -> None:
    client = signed_in(admin)
    page = client.get("/records/usage/").content.decode()
    assert ticked(page) == [False] * 4
    assert f'href="{reverse("admin:accounts_gateway_add")}"' in page
    [poll] = re.findall(rf'hx-get="({STEPS}[^"]*)" hx-trigger="every 3s"', page)
    gateway = Gateway.objects.create(name="edge")
    page = client.get(poll).content.decode()
    assert ticked(page) == [True, False, False, False]
    assert f'href="{reverse("admin:accounts_gateway_issue_key", args=[gateway.pk])}"' in page
    IngestKey.issue(gateway)
    assert ticked(client.get(poll).content.decode()) == [True, True, False, False]
    store(gateway, event(user=admin.email or "", created_at=just_now()))
    page = client.get(poll).content.decode()
    assert ticked(page) == [True] * 4
    assert "every 3s" not in page and "Show your records" in page
    assert 'id="first-steps"' not in client.get("/records/usage/").content.decode()


def test_others_are_told_whom_to_ask_and_led_to_no_admin_form(alice: User, admin: User) -> None:
    page = signed_in(alice).get("/records/usage/").content.decode()
    assert f'href="mailto:{admin.email}"' in page
    assert "/admin/" not in page
    assert f"sends one record to {alice.email}" in page


def test_a_page_that_stays_open_stops_asking(alice_client: Client) -> None:
    for began, watched in ((timezone.now(), True), (timezone.now() - WATCHED, False)):
        page = alice_client.get(STEPS, {"began": int(began.timestamp())}).content.decode()
        assert ("every 3s" in page) is watched
        assert ("Look again" in page) is not watched
    assert alice_client.get(STEPS, {"began": "٣" * 40}).status_code == 200


# --- Commands, run as they are printed ----------------------------------------------------------------------


@pytest.fixture
def console(live_server: LiveServer, settings: Settings) -> Iterator[LiveServer]:
    """A console that names the address it has."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed.")
    settings.BASE_URL = live_server.url
    yield live_server


def shell(command: str, typed: str = "") -> dict[str, Any]:
    """Paste a command into a shell; return what the console answered."""
    done = subprocess.run(["sh", "-c", command], input=typed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.removeprefix("Ingest key: "))
    return answer


def printed(page: str, identifier: str) -> str:
    found = re.search(rf'<pre[^>]*id="{identifier}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found
    return html.unescape(found[1])


def of_create_gateway(admin: User) -> tuple[str, str]:
    out = io.StringIO()
    call_command("create_gateway", "edge", stdout=out)
    return out.getvalue().partition("send one record:\n")[2], ""


def of_the_issued_key(admin: User) -> tuple[str, str]:
    gateway = Gateway.objects.create(name="edge")
    path = reverse("admin:accounts_gateway_issue_key", args=[gateway.pk])
    return printed(signed_in(admin).post(path, {"label": ""}).content.decode(), "ingest-command"), ""


def of_the_first_steps(admin: User) -> tuple[str, str]:
    _, key = IngestKey.issue(Gateway.objects.create(name="edge"))
    page = signed_in(admin).get("/records/usage/").content.decode()
    return printed(page, "first-command"), f"{key}\n"


def of_what_was_sent(admin: User) -> tuple[str, str]:
    gateway = Gateway.objects.create(name="edge")
    _, key = IngestKey.issue(gateway)
    page = signed_in(admin).get(reverse("admin:accounts_gateway_sent", args=[gateway.pk])).content.decode()
    return printed(page, "test-command"), f"{key}\n"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "place", [of_create_gateway, of_the_issued_key, of_the_first_steps, of_what_was_sent]
)
def test_a_printed_command_sends_a_record_of_ones_own(
    console: LiveServer, admin: User, place: Callable[[User], tuple[str, str]]
) -> None:
    command, answered = place(admin)
    assert f"{console.url}/api/v1/usage" in command
    assert shell(command, answered) == {"accepted": 1, "duplicates": 0, "rejected": []}
    record = UsageRecord.objects.get()
    assert record.user_id == admin.pk
    assert timezone.now() - record.created_at < timedelta(minutes=2)
