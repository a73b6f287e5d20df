"""To the OpenID provider and back: the authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url, perform_login
from allauth.core.internal import ratelimit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods

from accounts.sign_in.oidc import admission
from accounts.sign_in.oidc.admission import SignInRefusal, SignInRefusedError
from accounts.sign_in.oidc.arrival import carrying
from accounts.sign_in.oidc.identity import ClaimedIdentity, identity_of, needs_user_info
from accounts.sign_in.oidc.issuer import IssuerAnswerError, IssuerError, asked
from accounts.sign_in.oidc.refusal import refused, within
from routescope.config.oidc import OidcSettings

logger = logging.getLogger(__name__)

_LONGEST_CODE = 200


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: HttpRequest) -> HttpResponseBase:
    """Lead to the provider, by a page: the Content-Security-Policy lets no form lead to another host.

    By POST alone: no link of another site begins a sign-in. Whoever comes back here gets the button again.
    """
    configured = _configured()
    if request.method != "POST":
        return redirect("account_login")
    if not within(request, "login"):
        return _too_many(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(get_next_redirect_url(request) or settings.LOGIN_REDIRECT_URL)
    try:
        with asked(configured) as provider:
            endpoint = provider.endpoint("authorization_endpoint")
    except (IssuerError, IssuerAnswerError) as error:
        return _unavailable(request, error)
    url = f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{_question(request, configured)}"
    return render(request, "account/oidc_leaving.html", {"url": url})


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponseBase:
    """Take what the provider sent back with the browser, ask it who that is, and let them in or not."""
    configured = _configured()
    if not within(request, "oidc_refused", dry_run=True) or not within(request, "oidc_callback"):
        return _too_many(request)
    identity: ClaimedIdentity | None = None
    try:
        state = _state(request, configured)
        identity = _identity(request, configured, state)
        user = admission.admit(request, identity)
    except SignInRefusedError as error:
        return refused(request, error, identity)
    except IssuerAnswerError as error:
        logger.warning("The OpenID provider's answer is refused: %s", error)
        return refused(request, SignInRefusedError(SignInRefusal.ANSWER), identity)
    except IssuerError as error:
        return _unavailable(request, error)
    if request.user.is_authenticated:
        logout(request)
    # For allauth, which asks who is signed in how they proved it; rights hang on nothing of this.
    record_authentication(request, user, "socialaccount", provider=identity.issuer, uid=identity.subject)
    response: HttpResponseBase = perform_login(
        request, user, redirect_url=state.get("next"), signal_kwargs=carrying(identity)
    )
    return response


def _configured() -> OidcSettings:
    if settings.OIDC is None:
        raise Http404
    return settings.OIDC


# --- What is asked -----------------------------------------------------------------------------------------


def _provider(request: HttpRequest, configured: OidcSettings) -> Any:
    """Return allauth's provider, which keeps a sign-in's state in the session, made from our settings alone.

    It is not given the client's secret, and finds no state that was kept for another issuer.
    """
    app = SocialApp(
        provider=OpenIDConnectProvider.id,
        provider_id=configured.issuer,
        name=configured.name,
        client_id=configured.client_id,
        settings={"server_url": configured.issuer, "oauth_pkce_enabled": True},
    )
    return OpenIDConnectProvider(request, app=app)


@sensitive_variables()
def _question(request: HttpRequest, configured: OidcSettings) -> str:
    """Return the query of an authentication request (OpenID Connect Core 1.0, section 3.1.2.1)."""
    provider = _provider(request, configured)
    proof = provider.get_pkce_params()
    nonce = secrets.token_urlsafe(32)
    state = provider.stash_redirect_state(
        request,
        AuthProcess.LOGIN,
        next_url=get_next_redirect_url(request),
        pkce_code_verifier=proof.pop("code_verifier"),
        nonce=nonce,
    )
    return urlencode(
        {
            "response_type": "code",
            "client_id": configured.client_id,
            "redirect_uri": _redirect_uri(),
            "scope": " ".join(configured.scopes),
            "state": state,
            "nonce": nonce,
            **proof,
        }
    )


def _redirect_uri() -> str:
    """Return where the provider sends people back to.

    Under BASE_URL: the Host header is the asker's to choose.
    """
    return settings.BASE_URL + reverse("oidc_callback")


# --- What comes back ---------------------------------------------------------------------------------------


def _state(request: HttpRequest, configured: OidcSettings) -> dict[str, Any]:
    """Return what this browser was sent away with, which is used up by that.

    Raises SignInRefusedError, and IssuerAnswerError where another issuer answers (RFC 9207).
    """
    try:
        provider = _provider(request, configured)
        state: dict[str, Any] = provider.unstash_redirect_state(request, request.GET.get("state", ""))
    except PermissionDenied:
        raise SignInRefusedError(SignInRefusal.STATE) from None
    if request.GET.get("iss", configured.issuer) != configured.issuer:
        raise IssuerAnswerError("The answer comes from another issuer.")
    if error := request.GET.get("error"):
        logger.warning("The OpenID provider declines a sign-in: %s", error[:_LONGEST_CODE])
        raise SignInRefusedError(SignInRefusal.DECLINED)
    return state


@sensitive_variables()
def _identity(request: HttpRequest, configured: OidcSettings, state: dict[str, Any]) -> ClaimedIdentity:
    with asked(configured) as provider:
        tokens = provider.tokens(
            request.GET.get("code", ""),
            redirect_uri=_redirect_uri(),
            code_verifier=state["pkce_code_verifier"],
        )
        claims = provider.claims(tokens, nonce=state["nonce"])
        user_info = (
            provider.user_info(tokens, subject=claims["sub"]) if needs_user_info(claims, configured) else {}
        )
    return identity_of(claims, user_info, configured)


# --- When it comes to nothing ------------------------------------------------------------------------------


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.warning("The OpenID provider is of no use: %s", error)
    response = render(request, "account/oidc_unavailable.html", status=503)
    response["Retry-After"] = "10"
    return response


def _too_many(request: HttpRequest) -> HttpResponse:
    response: HttpResponse = ratelimit.respond_429(request)
    return response
