"""Choosing a person or a token among many, where names repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms

from accounts.models import ApiToken, User

if TYPE_CHECKING:
    _UserChoice = forms.ModelChoiceField[User]
    _TokenChoice = forms.ModelChoiceField[ApiToken]
else:
    _UserChoice = _TokenChoice = forms.ModelChoiceField


def person_label(user: User) -> str:
    """Return a person's name, and the address or number that tells them from a namesake."""
    return f"{user.name} · {user.email or f'#{user.pk}'}" if user.name else str(user)


def token_label(token: ApiToken) -> str:
    """Return a token's name and its owner's: many owners call theirs "default"."""
    return f"{token.name} · {token.owner}"


class PersonField(_UserChoice):
    def label_from_instance(self, obj: User) -> str:
        return person_label(obj)


class TokenField(_TokenChoice):
    def label_from_instance(self, obj: ApiToken) -> str:
        return token_label(obj)
