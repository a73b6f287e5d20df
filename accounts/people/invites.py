"""Invitations: how somebody known from a gateway's records only becomes a person who can sign in."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import int_to_base36

from accounts.models import User
from accounts.people.languages import offered
from accounts.people.link_tokens import LinkTokens
from routescope.config.mail import UNSENT


class InviteTokens(LinkTokens):
    """Tokens of invitations, apart from those that reset passwords.

    A token dies with its use (the password changes), with a newer invitation, when ``invited_at`` is cleared,
    and when the account is closed. It is no password reset: that must not revive a closed account.
    """

    key_salt = "accounts.invites.InviteTokens"  # Of links that are out: never changed.

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.invited_at}"


tokens = InviteTokens()


def invite(user: User) -> None:
    """Send ``user`` a link to choose a password with, under BASE_URL.

    Marks them invited, which ends every earlier link. They can sign in once they have accepted.
    Raises ValueError without an e-mail address, and for those who can sign in already; OSError where the mail
    cannot be sent.
    """
    if not user.email:
        raise ValueError("An invitation needs an e-mail address.")
    if user.is_active:
        raise ValueError(f"{user} can sign in already.")
    user.invited_at, user.closed_at = timezone.now(), None
    user.save(update_fields=["invited_at", "closed_at"])
    link = reverse("accept_invite", args=[int_to_base36(user.pk), tokens.make_token(user)])
    context = {
        "user": user,
        "link": settings.BASE_URL + link,
        "password_sign_in": settings.PASSWORD_SIGN_IN,
        "sign_on_name": settings.OIDC.name if settings.OIDC else "",
    }
    with translation.override(user.language if user.language in offered() else None):
        subject = render_to_string("account/email/invite_subject.txt", context).strip()
        message = render_to_string("account/email/invite_message.txt", context).strip()
    if not send_mail(subject, f"{message}\n", None, [user.email]):
        raise OSError(UNSENT)


def accept(user: User, password: str | None) -> None:
    """Let an invited person sign in, with the password they chose. The link they came by is then used up.

    Without a password they sign in by the OpenID provider alone.
    """
    user.set_password(password)
    user.is_active = True
    user.save(update_fields=["password", "is_active"])
