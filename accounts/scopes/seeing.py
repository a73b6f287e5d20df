"""Seeing Operation Records as somebody else does: read-only, said on every page, kept by the audit log.

Nobody is signed in as another. An address says whose page it is (`of=as:7`), so that it can be left, shared
with another admin and opened beside one's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import AuditEntry, User
from accounts.people.signed_in import AuthenticatedRequest
from accounts.people.time_zones import zone_of
from accounts.scopes.deciding import AS, may_see_all, person_of
from accounts.staff import audit
from routescope.contracts import tabs
from routescope.data.scopes import OF, Viewer
from routescope.web.asking import asked, is_asked_by_form

KEPT_SECONDS = 60 * 60
"""How long one note in the audit log is about: who goes on looking after it is asked again."""
_NOTED = "seen_as"
_MOST_NOTED = 50

Handler = Callable[[HttpRequest], HttpResponse]
_View = TypeVar("_View", bound=Callable[..., Any])


def changes_nothing(view: _View) -> _View:
    """Let a form be sent while one sees a page as somebody else: it changes nothing of theirs."""
    view.changes_nothing = True  # type: ignore[attr-defined]
    return view


def seeing_as(get_response: Handler) -> Handler:
    """Serve pages whose address says as whom they are seen, once that is noted, in that person's zone."""

    def middleware(request: HttpRequest) -> HttpResponse:
        person = _person(request)
        if person is None:
            return get_response(request)
        if not _is_noted(request, person):
            noting = QueryDict(mutable=True)
            is_page = request.method == "GET" and not request.htmx  # type: ignore[attr-defined]
            noting["next"] = request.get_full_path() if is_page else ""
            to = f"{reverse('see-as', args=[person.pk])}?{noting.urlencode()}"
            return HttpResponseClientRedirect(to) if request.htmx else HttpResponseRedirect(to)  # type: ignore[attr-defined]
        if request.method not in ("GET", "HEAD") and not _changes_nothing(request):
            raise PermissionDenied(
                _("You see this page as somebody else does, and can change nothing on it.")
            )
        request.seen_as = person  # type: ignore[attr-defined]
        request.scope_query = f"?{OF}={AS}{person.pk}"  # type: ignore[attr-defined]
        with timezone.override(zone_of(person)):
            return get_response(request)

    return middleware


@login_required
@require_http_methods(["GET", "POST"])
def see_as(request: AuthenticatedRequest, number: int) -> HttpResponse:
    """Say what seeing as a person is; by POST, note it and show their Operation Records.

    404 for who may not see everybody's records of every kind, as for a person who does not exist.
    """
    person = _allowed(request.user, str(number))
    onward = request.GET.get("next", "")
    first = next(iter(tabs.registered().values()))
    if not url_has_allowed_host_and_scheme(onward, None) or f"{OF}={AS}{person.pk}" not in _unquoted(onward):
        onward = f"{reverse(first.name)}?{OF}={AS}{person.pk}"
    if request.method == "POST":
        audit.note(request, AuditEntry.Act.SEEN_AS, person, str(person))
        noted = {**request.session.get(_NOTED, {}), str(person.pk): int(time.time())}
        request.session[_NOTED] = dict(sorted(noted.items(), key=lambda one: -one[1])[:_MOST_NOTED])
        return redirect(onward)
    return render(request, "account/see_as.html", {"person": person, "hours": KEPT_SECONDS // 3600})


def may_see_as(reader: User, person: User) -> bool:
    """Say whether the reader may see the console as a person: who may see everybody's records anyway."""
    viewer = Viewer.of(reader)
    return person.pk not in reader.ids and all(
        may_see_all(viewer, tab.right) for tab in tabs.registered().values()
    )


def _person(request: HttpRequest) -> User | None:
    """Return as whom a request's page is to be seen; None: as oneself."""
    query = asked(request) if is_asked_by_form(request) else request.GET
    said = query.get(OF, "")
    if not said.startswith(AS) or not isinstance(request.user, User):
        return None
    return _allowed(request.user, said.removeprefix(AS))


def _allowed(reader: User, number: str) -> User:
    person = person_of(number)
    if not may_see_as(reader, person):
        raise Http404
    return person


def _is_noted(request: HttpRequest, person: User) -> bool:
    at = request.session.get(_NOTED, {}).get(str(person.pk), 0)
    return bool(0 <= time.time() - at < KEPT_SECONDS)


def _changes_nothing(request: HttpRequest) -> bool:
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return False
    return is_asked_by_form(request) or hasattr(view, "changes_nothing")


def _unquoted(address: str) -> str:
    return address.replace("%3A", ":")
