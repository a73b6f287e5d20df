"""From who looks and what an address says, to whose rows a page is about.

What somebody has no right to is answered as what does not exist: 404, in the same words.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, QueryDict
from django.utils.translation import gettext as _

from accounts.models import User
from routescope.data.scopes import OF, Scope, ScopeKind, Viewer, of_users

EVERYONE = "everyone"
_PERSON = "person:"
_LONGEST_NUMBER = 9


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who looks at the pages of a request. Somebody is signed in."""
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return Viewer.of(user)


def decided(viewer: Viewer, asked: QueryDict | str, right: str) -> Scope:
    """Return the scope that a query string, or what it says of one, asks for.

    ``right`` is the one to see everybody's rows of the kind that is asked for. Raises Http404 for what does
    not exist and for what the viewer may not see, alike.
    """
    said = asked if isinstance(asked, str) else asked.get(OF, "")
    if not said:
        return Scope(viewer, of_users(viewer.person.ids))
    if said == EVERYONE and may_see_all(viewer, right):
        return Scope(viewer, None, ScopeKind.EVERYONE, EVERYONE, _("Everyone"))
    if said.startswith(_PERSON) and may_see_all(viewer, right):
        person = _person(said.removeprefix(_PERSON))
        return Scope(viewer, of_users(person.ids), ScopeKind.PERSON, f"{_PERSON}{person.pk}", str(person))
    raise Http404


def may_see_all(viewer: Viewer, right: str) -> bool:
    """Say whether the viewer may see everybody's rows: staff with the right to view them in the admin."""
    return all(
        user.is_active and (user.is_superuser or (user.is_staff and user.has_perm(right)))
        for user in {viewer.reader, viewer.person}
    )


def said_of(person: User) -> str:
    """Return what an address says of one person's rows."""
    return f"{_PERSON}{person.canonical_id}"


def _person(number: str) -> User:
    """Return the person of a number as an address writes it. Who was merged goes by what they are now."""
    if not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER):
        raise Http404
    person = User.objects.filter(pk=int(number), merged_into=None).first()
    if person is None or number != str(person.pk):
        raise Http404
    return person
