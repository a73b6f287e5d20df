"""The answer to who is not let in: a page that says why, counted and audited."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import AuditEntry
from accounts.sign_in.oidc.admission import SignInRefusedError
from accounts.sign_in.oidc.identity import ClaimedIdentity
from accounts.staff import audit


def refused(
    request: HttpRequest, error: SignInRefusedError, identity: ClaimedIdentity | None
) -> HttpResponse:
    """Refuse a sign-in, and keep in the audit log that it was, and of whom where that is known."""
    who = f"{identity.email or 'no address'} ({identity})" if identity else "a sign-in"
    audit.note(request, AuditEntry.Act.SIGN_IN, error.user, f"Refused {who}: {error.why.value}.")
    within(request, "oidc_refused")
    context = {"why": error.why.name, "email": identity.email if identity else ""}
    return render(request, "account/oidc_refused.html", context, status=403)


def within(request: HttpRequest, action: str, *, dry_run: bool = False) -> bool:
    """Say whether this address may do so once more, as ACCOUNT_RATE_LIMITS has it."""
    app = "allauth.account"
    used = ratelimit.consume(request, app=app, action=action, limit_get=True, dry_run=dry_run)
    return used is not None
