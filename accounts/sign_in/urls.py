"""Which pages of django-allauth there are, and sign-in by the OpenID provider.

allauth's own list would add pages that link and sign up identities by hand: here an admin decides who comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path

from accounts.sign_in.oidc import views

_View = Callable[..., HttpResponseBase]

_OF_PASSWORDS = frozenset(
    (
        "account_change_password",
        "account_reauthenticate",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "account_set_password",
        # A passkey alone is no password, but it lets in whom the provider no longer would.
        "mfa_login_webauthn",
    )
)


def _asking_for_passwords(view: _View) -> _View:
    """Make a page one that is not there while ``PASSWORD_SIGN_IN`` is off."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.PASSWORD_SIGN_IN:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def _offering_the_button(view: _View) -> _View:
    """Make the sign-in page refuse a password, without looking at it, while ``PASSWORD_SIGN_IN`` is off."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST" and not settings.PASSWORD_SIGN_IN:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def _guarded(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern | URLResolver]:
    """Return allauth's patterns with these conditions on those that ask for a password."""
    for one in patterns:
        if isinstance(one, URLResolver):
            inner = list(_guarded(one.url_patterns))
            yield URLResolver(one.pattern, inner, one.default_kwargs, one.app_name, one.namespace)
        elif one.name in _OF_PASSWORDS:
            yield URLPattern(one.pattern, _asking_for_passwords(one.callback), one.default_args, one.name)
        elif one.name == "account_login":
            yield URLPattern(one.pattern, _offering_the_button(one.callback), one.default_args, one.name)
        else:
            yield one


urlpatterns = [
    path("oidc/", views.begin, name="oidc_begin"),
    path("oidc/callback/", views.callback, name="oidc_callback"),
    *_guarded(
        [
            path("", include("allauth.account.urls")),
            path("2fa/", include("allauth.mfa.urls")),
            path("sessions/", include("allauth.usersessions.urls")),
        ]
    ),
]
