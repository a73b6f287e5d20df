"""What a completed sign-in means, second factor and all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.stages import LoginStage
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.sign_in.oidc import admission, claimed_rights
from accounts.sign_in.oidc.admission import SignInRefusal, SignInRefusedError
from accounts.sign_in.oidc.identity import ClaimedIdentity
from accounts.sign_in.oidc.refusal import refused
from accounts.staff import audit

_BY = "oidc_identity"


def carrying(identity: ClaimedIdentity) -> dict[str, Any]:
    """Return what a sign-in by the provider carries along until they have arrived.

    It is part of that one sign-in, which allauth forgets after ACCOUNT_LOGIN_TIMEOUT: the next one in the
    same browser, with a password or a passkey, does not find it.
    """
    return {_BY: identity.kept()}


class ArrivalStage(LoginStage):  # type: ignore[misc]
    """The last stage of every sign-in: behind the second factor, before there is a session.

    Who comes by the provider is linked and gets what its claims give. Who comes otherwise has no rights by
    claims: nobody vouched for them this time.
    """

    key = "oidc_arrival"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        user, identity = self.login.user, _identity(self.login.signal_kwargs)
        try:
            with transaction.atomic():
                if identity is not None:
                    if settings.OIDC is None or settings.OIDC.issuer != identity.issuer:
                        raise SignInRefusedError(SignInRefusal.STATE, user)
                    admission.link(self.request, user, identity)
                claimed_rights.follow(self.request, user, identity)
        except SignInRefusedError as error:
            return refused(self.request, error, identity), False
        return None, True


def arrived(request: HttpRequest, user: User, carried: dict[str, Any] | None) -> None:
    """Write down who signed in by the provider, and end their session in ``OIDC_SESSION_HOURS`` from now.

    What the provider said of somebody grows old: who left must come to be asked again.
    """
    identity = _identity(carried)
    if settings.OIDC is None or identity is None:
        return
    request.session.set_expiry(timezone.now() + timedelta(hours=settings.OIDC.session_hours))
    audit.note(request, AuditEntry.Act.SIGN_IN, user, f"Signed in as {identity}.")


def _identity(carried: dict[str, Any] | None) -> ClaimedIdentity | None:
    kept = (carried or {}).get(_BY)
    return None if kept is None else ClaimedIdentity.from_kept(kept)
