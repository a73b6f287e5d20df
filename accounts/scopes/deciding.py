"""From who looks and what an address says, to whose rows a page is about.

What somebody has no right to is answered as what does not exist: 404, in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, QueryDict

from accounts.models import User
from routescope.data.scopes import OF, Scope, of_users


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and as whom: ``reader`` is signed in, ``person`` is whose console it is."""

    reader: User
    person: User

    @classmethod
    def of(cls, user: User) -> Viewer:
        """Return somebody who looks at their own console."""
        return cls(user, user)


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
        return Scope(viewer.reader, of_users(viewer.person.ids))
    raise Http404
