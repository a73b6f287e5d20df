"""From who looks and what an address says, to whose rows a page is about.

What somebody has no right to is answered as what does not exist: 404, in the same words.
"""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, QueryDict
from django.utils.translation import gettext as _

from accounts.models import Team, User
from accounts.scopes import teams
from routescope.data.scopes import OF, Scope, ScopeKind, Viewer, of_users

EVERYONE = "everyone"
AS = "as:"
"""What an address says before the number of whom a page is seen as (`accounts.scopes.seeing`)."""
_PERSON = "person:"
_TEAM = "team:"
_LONGEST_NUMBER = 9


def viewer_of(request: HttpRequest) -> Viewer:
    """Return who looks at the pages of a request, and as whom. Somebody is signed in."""
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return Viewer(user, getattr(request, "seen_as", user))


def decided(viewer: Viewer, asked: QueryDict | str, right: str) -> Scope:
    """Return the scope that a query string, or what it says of one, asks for.

    ``right`` is the one to see everybody's rows of the kind that is asked for. Raises Http404 for what does
    not exist and for what the viewer may not see, alike.
    """
    said = asked if isinstance(asked, str) else asked.get(OF, "")
    if viewer.is_as_another:
        if said and said != said_as(viewer.person):
            raise Http404
        return Scope(
            viewer,
            of_users(viewer.person.ids),
            ScopeKind.PERSON,
            said_as(viewer.person),
            str(viewer.person),
        )
    if not said:
        return Scope(viewer, of_users(viewer.person.ids))
    if said == EVERYONE and may_see_all(viewer, right):
        return Scope(viewer, None, ScopeKind.EVERYONE, EVERYONE, _("Everyone"))
    if said.startswith(_PERSON) and may_see_all(viewer, right):
        person = person_of(said.removeprefix(_PERSON))
        return of_person(viewer, person)
    if said.startswith(_TEAM):
        team = _team(viewer, said.removeprefix(_TEAM), right)
        return Scope(
            viewer,
            teams.windows_of(team),
            ScopeKind.TEAM,
            f"{_TEAM}{team.pk}",
            team.name,
            is_without_content=not may_see_all(viewer, right),
        )
    raise Http404


def of_person(viewer: Viewer, person: User) -> Scope:
    """Return the scope of one person, who is merged into no other. That the viewer may see it is settled."""
    if person == viewer.person:
        return Scope(viewer, of_users(person.ids))
    return Scope(viewer, of_users(person.ids), ScopeKind.PERSON, said_of(person), str(person))


def may_see_all(viewer: Viewer, right: str) -> bool:
    """Say whether the viewer may see everybody's rows: staff with the right to view them in the admin."""
    return all(
        user.is_active and (user.is_superuser or (user.is_staff and user.has_perm(right)))
        for user in {viewer.reader, viewer.person}
    )


def said_of(person: User) -> str:
    """Return what an address says of one person's rows."""
    return f"{_PERSON}{person.canonical_id}"


def teams_of(viewer: Viewer, right: str) -> QuerySet[Team]:
    """Return the teams whose records the viewer may see: those that they lead, and an admin all."""
    if may_see_all(viewer, right):
        return Team.objects.all()
    return Team.objects.filter(leads=viewer.person)


def said_of_team(team: Team) -> str:
    """Return what an address says of a team's rows."""
    return f"{_TEAM}{team.pk}"


def _team(viewer: Viewer, number: str, right: str) -> Team:
    """Return the team of a number as an address writes it."""
    team = teams_of(viewer, right).filter(pk=_number(number)).first()
    if team is None or number != str(team.pk):
        raise Http404
    return team


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise Http404
    return int(text)


def said_as(person: User) -> str:
    """Return what an address says of one person's rows, seen as they see them."""
    return f"{AS}{person.pk}"


def person_of(number: str) -> User:
    """Return the person of a number as an address writes it. Who was merged goes by what they are now.

    Raises Http404 for nobody.
    """
    person = User.objects.filter(pk=_number(number), merged_into=None).first()
    if person is None or number != str(person.pk):
        raise Http404
    return person
