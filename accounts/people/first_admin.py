"""The first admin: from the environment, from whoever sits at the terminal, or with a password made here.

``ADMIN_EMAIL`` and ``ADMIN_PASSWORD`` come first; what they leave open is asked for at a terminal, and made
where there is none. Nothing is asked, made or said once there is an admin.
"""

from __future__ import annotations

import getpass
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts.models import User
from routescope.config import env

DEFAULT_EMAIL = "admin@localhost"


class FirstAdminError(ValueError):
    """What the environment says cannot be used; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """``password`` is there where it was made here: it is to be told, now, since nobody knows it."""

    email: str
    password: str


def make(*, at_terminal: bool, tell: Callable[[str], None]) -> FirstAdmin | None:
    """Make the first admin; None where there is one already.

    Raises FirstAdminError for an address or a password in the environment that cannot be used.
    """
    if User.objects.filter(is_superuser=True).exists():
        return None
    email, password = env.text("ADMIN_EMAIL"), env.text("ADMIN_PASSWORD")
    try:
        if email:
            _check_email(email)
        if password:
            validate_password(password, User(email=email or DEFAULT_EMAIL))
    except ValidationError as error:
        raise FirstAdminError(
            f"ADMIN_EMAIL and ADMIN_PASSWORD cannot be used: {' '.join(error.messages)}"
        ) from error
    if at_terminal and not password:
        tell("There is no admin yet. Enter takes what stands in brackets.")
        email = email or _asked_email(tell)
        password = _asked_password(email, tell)
    made_up = "" if password else secrets.token_urlsafe(12)
    email = email or DEFAULT_EMAIL
    with transaction.atomic():
        User.objects.create_superuser(email, password or made_up)
    return FirstAdmin(email, made_up)


def is_terminal() -> bool:
    """Whether somebody sits there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _check_email(email: str) -> None:
    validate_email(email)
    if User.objects.filter(email__iexact=email).exists():
        raise ValidationError("Somebody without an admin's rights has that address.")


def _asked_email(tell: Callable[[str], None]) -> str:
    while True:
        email = _read(lambda: input(f"  E-mail [{DEFAULT_EMAIL}]: ")).strip() or DEFAULT_EMAIL
        try:
            _check_email(email)
        except ValidationError as error:
            tell(f"  {' '.join(error.messages)}")
        else:
            return email


def _asked_password(email: str, tell: Callable[[str], None]) -> str:
    """Return the password that was typed twice; nothing where one is to be made."""
    while True:
        password = _read(lambda: getpass.getpass("  Password [one is made and shown once]: "))
        if not password:
            return ""
        try:
            validate_password(password, User(email=email))
        except ValidationError as error:
            tell(f"  {' '.join(error.messages)}")
            continue
        if _read(lambda: getpass.getpass("  The same again: ")) == password:
            return password
        tell("  The two differ.")


def _read(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except EOFError:
        return ""
