"""How django-allauth behaves here."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import ratelimit
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sites.requests import RequestSite
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.sign_in import demo_accounts
from accounts.sign_in.oidc import arrival
from routescope.wire.client_address import network_of

_MOST_SESSIONS = 100


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up: an admin creates people, or invites those whom a gateway made known."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": _("This account is closed. Ask an administrator for an invitation."),
        "demo_password": _(
            "This is the demo password, which is public. It does not work where others can reach the console."
        ),
        "email_password_mismatch": _("No account has this e-mail address and password."),
        "enter_current_password": _("This is not your current password."),
        "incorrect_code": _("This code is wrong or was already used. Wait for the next one and try again."),
        "incorrect_password": _("This is not your password."),
        "too_many_login_attempts": _("Too many failed attempts. Wait five minutes, or reset your password."),
        "rate_limited": _("Too many requests. Wait a minute."),
    }

    def format_email_subject(self, subject: str) -> str:
        return f"Routescope: {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail whose links lead to BASE_URL: the Host header is the asker's to choose."""
        base = urlsplit(settings.BASE_URL)
        links = {name: _at_base(value) for name, value in context.items() if name.endswith("_url")}
        site = RequestSite(self.request)
        site.domain = site.name = base.netloc
        super().send_mail(template_prefix, email, {**context, **links, "current_site": site})

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Refuse what cannot be right here, and count failures by where they come from.

        allauth counts an address's failures wherever they come from: five wrong passwords of a stranger would
        lock its owner out. Here they count by network (`_get_login_attempts_cache_key`), and a stranger who
        comes from many networks is stopped by a limit that does not hold where the owner is signed in.
        """
        if not demo_accounts.opens(str(credentials.get("password") or "")):
            raise self.validation_error("demo_password")
        email = str(credentials.get("email") or credentials.get("username") or "").lower()
        limited = {"action": "login_failed_afar", "key": email}
        afar = not _is_home(email, self.get_client_ip(request))
        if afar and not ratelimit.consume(request, dry_run=True, **limited):
            raise self.validation_error("too_many_login_attempts")
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is None and afar:
            ratelimit.consume(request, **limited)
        return user

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        key = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{key}:{network_of(self.get_client_ip(request))}"

    def set_password(self, user: User, password: str) -> None:
        """Save the password alone: rights that went in the meantime are not written back."""
        user.set_password(password)
        user.save(update_fields=["password"])

    def get_login_stages(self) -> list[str]:
        """Add, behind the second factor, what a sign-in means for links and rights by claims."""
        return [*super().get_login_stages(), "accounts.sign_in.oidc.arrival.ArrivalStage"]

    def post_login(self, request: HttpRequest, user: User, **details: Any) -> HttpResponse:
        """Go on to where they were going; who came by the OpenID provider is written down."""
        arrival.arrived(request, user, details.get("signal_kwargs"))
        response: HttpResponse = super().post_login(request, user, **details)
        return response

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def _at_base(url: str) -> str:
    return settings.BASE_URL + urlsplit(url)._replace(scheme="", netloc="").geturl()


def _is_home(email: str, address: str) -> bool:
    """Whether the owner of an e-mail address is signed in from the network of this IP address."""
    here = network_of(address)
    known = UserSession.objects.filter(user__email__iexact=email).values_list("ip", flat=True)
    return any(network_of(ip) == here for ip in known[:_MOST_SESSIONS])
