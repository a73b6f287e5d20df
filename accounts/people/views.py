"""The profile page, the theme switch, and accepting an invitation."""

from __future__ import annotations

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import base36_to_int, url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import User
from accounts.people import invites, time_zones
from accounts.people.forms import AcceptInviteForm, ProfileForm, ThemeForm
from routescope.web.context import THEME_COOKIE


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and save one's own name, time zone, language and theme, and lead to what secures the account."""
    user = _signed_in(request)
    if request.method == "POST":
        # A copy: the sidebar shows the person, not what was just typed and refused.
        form = ProfileForm(request.POST, instance=User.objects.get(pk=user.pk))
        if form.is_valid():
            form.save()
            if "time_zone" in form.changed_data:
                user.settle_zone(form.cleaned_data["time_zone"])
            messages.success(request, _("Profile saved."))
            return _with_theme(redirect("profile"), form.cleaned_data["theme"])
        status = 422
    else:
        form, status = ProfileForm(instance=user), 200
    context = {"form": form, "time_zones": time_zones.choices()}
    return render(request, "account/profile.html", context, status=status)


@login_required
@require_POST
def time_zone(request: HttpRequest) -> HttpResponse:
    """Save the time zone that a person was offered, or keeps, and go back to ``next``."""
    zone = time_zones.find(request.POST.get("zone", ""))
    if zone is None:
        return HttpResponse(_("There is no such time zone."), status=422, content_type="text/plain")
    _signed_in(request).settle_zone(zone)
    return redirect(_next(request))


@login_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Save the theme and go back to ``next``. Also kept in a cookie, for the pages before signing in."""
    form = ThemeForm(request.POST, instance=_signed_in(request))
    if not form.is_valid():
        return HttpResponse(_("There is no such theme."), status=422, content_type="text/plain")
    form.save()
    return _with_theme(redirect(_next(request)), form.cleaned_data["theme"])


def _next(request: HttpRequest) -> str:
    """Return the page to go back to, or the profile where that is none of ours."""
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours else "profile"


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def accept_invite(request: HttpRequest, uidb36: str, token: str) -> HttpResponseBase:
    """Let an invited person choose a password; they are then signed in.

    Where an OpenID provider is set up, its button is the other way in, or the only one. A link that is used,
    expired, replaced or made up answers 404 with the way out, the same for each.
    """
    user = _invited(uidb36, token)
    if user is None:
        return render(request, "account/invite_invalid.html", status=404)
    if request.method == "POST" and not settings.PASSWORD_SIGN_IN:
        raise PermissionDenied
    form = AcceptInviteForm(request.POST or None, user=user)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "account/invite.html", {"form": form, "invited": user}, status=status)
    logout(request)
    with transaction.atomic():
        # Once more, and kept so: an admin may have closed the account in the meantime.
        user = _invited(uidb36, token, User.objects.select_for_update(no_key=True))
        if user is None:
            return render(request, "account/invite_invalid.html", status=404)
        invites.accept(user, form.cleaned_data["password1"])
    record_authentication(request, user, method="password", email=user.email)
    response: HttpResponseBase = perform_login(request, user)
    return response


def _invited(uidb36: str, token: str, users: QuerySet[User] | None = None) -> User | None:
    """Return who a link invites, or None where the link is no longer, or never was, an invitation."""
    try:
        user = (User.objects.all() if users is None else users).get(pk=base36_to_int(uidb36))
    except (User.DoesNotExist, ValueError, OverflowError):
        return None
    return user if user.is_invited and invites.tokens.check_token(user, token) else None


def _signed_in(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  # login_required saw to it
    return request.user


def _with_theme(response: HttpResponseRedirect, theme: str) -> HttpResponseRedirect:
    response.set_cookie(THEME_COOKIE, theme, max_age=31_536_000, httponly=True, samesite="Lax")
    return response
