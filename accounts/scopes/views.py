"""Finding a person whose records are to be shown, as one types."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from accounts.models import ApiToken, User
from accounts.people.signed_in import AuthenticatedRequest
from accounts.scopes.deciding import decided, may_see_all, said_of, viewer_of
from routescope.contracts import tabs
from routescope.web.asking import asked, asked_by_form

MOST_FOUND = 20


@asked_by_form
@login_required
def people(request: AuthenticatedRequest) -> HttpResponse:
    """The people whose name, address or name at a gateway holds what was typed (``q``), for a tab.

    404 for who may not see everybody's records there, as for a tab that does not exist.
    """
    query = asked(request)
    tab = tabs.registered().get(query.get("tab", ""))
    if tab is None or not may_see_all(viewer_of(request), tab.right):
        raise Http404
    typed = _typed(query)
    found = _people(typed, Q())
    path = reverse(tab.name)
    context = {
        "typed": typed,
        "tab": tab,
        "found": [(person, f"{path}?of={said_of(person)}") for person in found[:MOST_FOUND]],
        "has_more": len(found) > MOST_FOUND,
        "back": path,
    }
    return render(request, "records/people.html#found" if request.htmx else "records/people.html", context)


@asked_by_form
@login_required
def options(request: AuthenticatedRequest) -> HttpResponse:
    """The values of a filter's ``menu`` (person, token) whose name holds what was typed, of a tab's scope.

    404 for a scope that the viewer may not see, as for a tab that does not exist.
    """
    query = asked(request)
    tab = tabs.registered().get(request.GET.get("tab", ""))
    menu = request.GET.get("menu", "")
    if tab is None or menu not in ("person", "token"):
        raise Http404
    scope = decided(viewer_of(request), request.GET, tab.right)
    typed = _typed(query)
    whose = Q() if scope.is_everyone else Q(pk__in=scope.ids)
    found: list[tuple[str, str]]
    if menu == "person":
        found = [(str(person.pk), str(person)) for person in _people(typed, whose)]
    elif not scope.is_whole:
        # A team's menu lists those that were used while their owners were in it.
        raise Http404
    else:
        tokens = ApiToken.objects.filter(name__icontains=typed, merged_into=None)
        if not scope.is_everyone:
            tokens = tokens.filter(owner__in=scope.ids)
        names = tokens.order_by("name").values_list("name", flat=True).distinct() if typed else ()
        found = [(name, name) for name in names[: MOST_FOUND + 1]]
    context = {
        "typed": typed,
        "menu": menu,
        "found": found[:MOST_FOUND],
        "has_more": len(found) > MOST_FOUND,
    }
    return render(request, "records/options.html", context)


def _typed(query: QueryDict) -> str:
    return query.get("q", "").strip()[:200].replace("\x00", "")


def _people(typed: str, whose: Q) -> list[User]:
    """Return the people of whom a name holds what was typed: one more than are shown."""
    if not typed:
        return []
    named = Q(name__icontains=typed) | Q(email__icontains=typed) | Q(identities__name__icontains=typed)
    rows = User.objects.filter(named, whose, merged_into=None).distinct().order_by("name", "email", "pk")
    return list(rows[: MOST_FOUND + 1])
