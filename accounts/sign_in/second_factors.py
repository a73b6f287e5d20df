"""Second factors at rest: whoever reads the database, or a copy of it, cannot make their codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.db import transaction

from routescope import encryption

# What allauth keeps of a time-based code and of recovery codes. A passkey's public key is no secret.
_SECRETS = ("secret", "seed")
_LISTS_OF_SECRETS = ("migrated_codes",)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Has allauth keep its secrets encrypted, under the console's own keys."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises DecryptionError where the key is no longer configured."""
        return encryption.decrypt(encrypted_text.encode()).decode()


def rotate() -> tuple[int, int]:
    """Re-encrypt the secrets with the first key; return of how many factors, and how many no key fits."""
    done = lost = 0
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            # Locked: a recovery code may be used up at the same moment.
            factor = Authenticator.objects.select_for_update().filter(pk=pk).first()
            if factor is None:
                continue
            try:
                data = rewritten(factor.data, _under_first_key)
            except encryption.DecryptionError:
                lost += 1
                continue
            if data != factor.data:
                Authenticator.objects.filter(pk=pk).update(data=data)
                done += 1
    return done, lost


def _under_first_key(text: str) -> str:
    token = text.encode()
    return text if encryption.is_current(token) else encryption.rotate(token).decode()


def rewritten(data: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return an authenticator's data with each of its secrets changed."""
    found = {name: change(data[name]) for name in _SECRETS if isinstance(data.get(name), str)}
    lists = {
        name: [change(one) for one in data[name]]
        for name in _LISTS_OF_SECRETS
        if isinstance(data.get(name), list)
    }
    return {**data, **found, **lists}
