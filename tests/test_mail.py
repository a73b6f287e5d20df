"""Links that open accounts reach no log that others read: which mail backends are taken where."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import User
from routescope.config import mail
from tests.cast import signed_in

_ASK = "from django.conf import settings; print(settings.EMAIL_BACKEND)"
_KEY = "pXl4bq0e9wqMZ0mUe2mFJjWv3lZ5Wc7bnnD1Gqz3m5lcS"
DJANGO = "django.core.mail.backends"
CONSOLE = f"{DJANGO}.console.EmailBackend"
SMTP = f"{DJANGO}.smtp.EmailBackend"
REACHED = [
    {"BASE_URL": "https://routescope.example"},
    {"HOST": "0.0.0.0"},
    {"ALLOWED_HOSTS": "routescope.example"},
    {"TRUSTED_PROXIES": "1"},
    {"DATABASE_URL": "postgresql://routescope@db/routescope", "SECRET_KEY": _KEY},
]


@pytest.fixture(autouse=True)
def fresh_limits(db: None) -> None:
    cache.clear()


def ask(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    unset = {
        "BASE_URL",
        "HOST",
        "ALLOWED_HOSTS",
        "TRUSTED_PROXIES",
        "DATABASE_URL",
        "SECRET_KEY",
        "REDIS_URL",
    }
    kept = {name: value for name, value in os.environ.items() if name not in {*unset, "EMAIL_BACKEND"}}
    return subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**kept, **environment, "DJANGO_SETTINGS_MODULE": "routescope.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("reached", REACHED, ids=str)
def test_where_others_come_no_mail_is_written_down_unasked(reached: dict[str, str]) -> None:
    assert ask(reached).stdout.strip() == mail.WITHHOLDING
    done = ask({**reached, "EMAIL_BACKEND": CONSOLE})
    assert done.returncode and "links that open accounts would stand in a log" in done.stderr


@pytest.mark.parametrize("only_this_machine", [True, False])
@pytest.mark.parametrize("name", ["console", "filebased", "locmem", "dummy", "smtp"])
def test_backends_that_write_mails_down_are_for_this_machine_alone(
    name: str, only_this_machine: bool
) -> None:
    wanted = f"{DJANGO}.{name}.EmailBackend"
    if only_this_machine or name in ("dummy", "smtp"):
        assert mail.chosen(wanted, only_this_machine=only_this_machine) == wanted
    else:
        with pytest.raises(ValueError, match="EMAIL_BACKEND"):
            mail.chosen(wanted, only_this_machine=False)
    assert mail.chosen("", only_this_machine=True) == CONSOLE
    assert ask({}).stdout.strip() == CONSOLE


def test_a_reset_link_stands_in_no_log_and_tells_nobody_who_is_known(
    alice: User,
    settings: LazySettings,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings.EMAIL_BACKEND = mail.WITHHOLDING
    answers = []
    with caplog.at_level(logging.DEBUG):
        for email in (str(alice.email), "nobody@example.org"):
            answer = Client().post(reverse("account_reset_password"), {"email": email}, follow=True)
            answers.append(re.sub(r"[A-Za-z0-9]{64}", "", answer.content.decode()).replace(email, ""))
    printed = "".join((caplog.text, *capfd.readouterr()))
    assert "No mail is sent" in printed
    assert "/password/reset/key/" not in printed and str(alice.email) not in printed
    assert answers[0] == answers[1]


def test_an_invitation_that_is_not_sent_is_said_and_not_made(admin: User, settings: LazySettings) -> None:
    settings.EMAIL_BACKEND = mail.WITHHOLDING
    known = User.objects.create(name="agent-7", is_active=False)
    url = f"/admin/accounts/user/{known.pk}/invite/"
    page = signed_in(admin).post(url, {"email": "agent@example.com"}, follow=True).content.decode()
    assert "The invitation could not be sent: No mail is sent" in page
    known.refresh_from_db()
    assert known.invited_at is None


def test_check_deploy_says_that_no_mail_is_sent(
    settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    for backend, said in ((mail.WITHHOLDING, True), (f"{DJANGO}.dummy.EmailBackend", True), (SMTP, False)):
        settings.EMAIL_BACKEND = backend
        call_command("check", deploy=True)
        assert ("routescope.W001" in capsys.readouterr().err) == said
