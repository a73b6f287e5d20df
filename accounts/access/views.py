"""The read API's pages: a person's access tokens, and how to use them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import personal_tokens as tokens
from accounts.access.forms import AccessTokenForm
from accounts.models import PersonalAccessToken
from accounts.people.signed_in import AuthenticatedRequest
from routescope.rest.declared import ENDPOINTS, Endpoint

_PLACEHOLDER = {"{id}": "0198c1f2-7c00-8a3e-9f21-5b1d6a0c4e77", "{task_id}": "task_8f3a"}


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def access_tokens(request: AuthenticatedRequest) -> HttpResponse:
    """List a person's access tokens and make one; the new token stands in this one answer only."""
    form = AccessTokenForm(request.POST or None)
    key, status = "", 200
    if request.method == "POST":
        status = 422
        if tokens.in_use(request.user) >= tokens.MOST:
            most = _("You have reached the limit of %(n)s active tokens. Revoke one that you no longer need.")
            form.add_error(None, most % {"n": tokens.MOST})
        elif form.is_valid():
            _made, key = tokens.issue(request.user, form.cleaned_data["name"], form.cleaned_data["days"])
            form, status = AccessTokenForm(), 200
    context = {
        "form": form,
        "key": key,
        "tokens": PersonalAccessToken.objects.filter(user=request.user, revoked_at=None),
        "limit": settings.READ_API_REQUESTS_PER_MINUTE,
        "command": _curl(reverse("api-usage"), "limit=1"),
    }
    return render(request, "account/access_tokens.html", context, status=status)


@login_required
@require_POST
def revoke(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Revoke one of the person's tokens. 404 for another's as for none."""
    if not tokens.revoke(request.user, pk):
        raise Http404
    messages.success(request, _("Token revoked. Requests that use it are now refused."))
    return redirect("access-tokens")


@dataclass(frozen=True, slots=True)
class Shown:
    """An endpoint with what to paste."""

    endpoint: Endpoint
    curl: str
    python: str


@login_required
@require_safe
def read_api(request: AuthenticatedRequest) -> HttpResponse:
    """How to use the read API, written from what its endpoints declare."""
    shown = [_shown(endpoint) for endpoint in ENDPOINTS.values()]
    shown.sort(key=_tag, reverse=True)
    context = {
        "sections": [(tag, list(endpoints)) for tag, endpoints in groupby(shown, _tag)],
        "limit": settings.READ_API_REQUESTS_PER_MINUTE,
        "base_url": settings.BASE_URL,
        "walk": _WALK.replace("BASE_URL", settings.BASE_URL),
    }
    return render(request, "account/read_api.html", context)


def _tag(one: Shown) -> str:
    return one.endpoint.tag


def _shown(endpoint: Endpoint) -> Shown:
    path = endpoint.path
    for name, value in _PLACEHOLDER.items():
        path = path.replace(name, value)
    url = settings.BASE_URL + path + (f"?{endpoint.query}" if endpoint.query else "")
    return Shown(endpoint, _curl(path, endpoint.query), _PYTHON.replace("URL", url))


def _curl(path: str, query: str) -> str:
    url = settings.BASE_URL + path + (f"?{query}" if query else "")
    return f'curl -H "Authorization: Bearer $ROUTESCOPE_TOKEN" \\\n  "{url}"'


_PYTHON = """\
import json, os, urllib.request

request = urllib.request.Request(
    "URL",
    headers={"Authorization": f"Bearer {os.environ['ROUTESCOPE_TOKEN']}"},
)
print(json.load(urllib.request.urlopen(request)))
"""
_WALK = """\
import json, os, urllib.request
from decimal import Decimal

def get(path):
    request = urllib.request.Request(
        "BASE_URL" + path,
        headers={"Authorization": f"Bearer {os.environ['ROUTESCOPE_TOKEN']}"},
    )
    return json.load(urllib.request.urlopen(request))

spent, path = Decimal(0), "/api/v1/usage?range=7d&limit=200"
while path:
    page = get(path)
    spent += sum(Decimal(record["cost"] or 0) for record in page["data"])
    path = page["next"]
print(spent)
"""
