"""How django-allauth behaves here."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import User


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

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Send the link, and let the asker set up MFA as before.

        Making the link leaves an unverified EmailAddress behind, and allauth refuses MFA to those. Here
        nobody brings an address of their own: an admin vouches for each.
        """
        EmailAddress.objects.filter(user=user).update(verified=True)
        super().send_password_reset_mail(user, email, context)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
