"""Tokens of links into an account: of an invitation (`accounts.people.invites`), and of a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.tokens import PasswordResetTokenGenerator

if TYPE_CHECKING:
    from accounts.models import User


class LinkTokens(PasswordResetTokenGenerator):
    """Django's signed, expiring tokens (PASSWORD_RESET_TIMEOUT), of an account in the state it is in.

    Closing the account ends them for good, also once it is open again: it gets a new ``access_salt``.
    """

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        state = f"{user.is_active}{user.closed_at}{user.access_salt}"
        return f"{super()._make_hash_value(user, timestamp)}{state}"


class ResetTokens(LinkTokens):
    """Tokens of links that choose a new password. allauth makes and checks them.

    Its own leave an unverified EmailAddress behind, for which it then refuses to set up a second factor. Here
    nobody brings an address of their own: an admin vouches for each, and the token holds it.
    """

    key_salt = "accounts.link_tokens.ResetTokens"  # Of links that are out: never changed.
