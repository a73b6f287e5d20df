"""How django-allauth behaves here."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up: an admin creates people, or invites those whom a gateway made known."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
