"""How django-allauth behaves here."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up: an admin creates people, or invites those whom a gateway made known."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": _("This account is closed. Ask an administrator for an invitation."),
        "email_password_mismatch": _("No account has this e-mail address and password."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_code": _("This code is wrong, or was used already. Wait for the next one and try again."),
        "incorrect_password": _("This is not your password."),
        "too_many_login_attempts": _("Too many failed attempts. Wait five minutes, or reset your password."),
        "rate_limited": _("Too many requests. Wait a minute."),
    }

    def format_email_subject(self, subject: str) -> str:
        return f"Routescope: {subject}"

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
