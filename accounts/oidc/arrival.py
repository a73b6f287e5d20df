"""What a completed sign-in means, second factor and all."""

from __future__ import annotations

from datetime import timedelta

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.audit import AuditEntry
from accounts.models import User
from accounts.oidc import claimed_rights

METHOD = "socialaccount"
"""What allauth calls a sign-in by a provider, in the session's list of how somebody proved who they are."""


def arrived(request: HttpRequest, user: User) -> None:
    """Write down who signed in by the provider, and end their session in ``OIDC_SESSION_HOURS`` from now.

    What the provider said of somebody grows old: who left must come to be asked again. Who signed in
    otherwise has no rights by claims: nobody vouched for them this time.
    """
    proofs = [one for one in get_authentication_records(request, user) if one.get("method") != "mfa"]
    if settings.OIDC is None or not proofs or proofs[-1].get("method") != METHOD:
        claimed_rights.follow(request, user, None)
        return
    request.session.set_expiry(timezone.now() + timedelta(hours=settings.OIDC.session_hours))
    said = f"Signed in as {proofs[-1].get('uid')} of {proofs[-1].get('provider')}."
    audit.note(request, AuditEntry.Act.SIGN_IN, user, said)
