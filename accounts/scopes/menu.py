"""The switch beside the title: whose records a page shows, for those who have more than their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.identities.names import Names
from accounts.models import User
from accounts.scopes.deciding import EVERYONE, may_see_all, said_of_team, teams_of
from accounts.scopes.seeing import may_see_as
from routescope.data.scopes import OF, Scope, ScopeKind, Viewer
from routescope.filters.address import Address
from routescope.filters.filter_set import FilterMenu, Option

_OF_OTHERS = ("person", "token", "live")
"""What is chosen of one's own that others do not have."""
_MOST_TEAMS = 50


@dataclass(frozen=True, slots=True)
class ScopeOption:
    """A scope that the viewer may choose: ``address`` is what the page shows, of its records."""

    label: str
    address: Address
    chosen: bool


@dataclass(frozen=True, slots=True)
class ScopeMenu:
    """``label`` says whose records are shown; ``people`` is where one person is searched for, empty where the
    viewer may not see everybody's. ``everyone`` leads to everybody's, ``as_them`` to the one person's whose
    records are shown, as these see them.
    """

    label: str
    options: Sequence[ScopeOption]
    people: str = ""
    everyone: Address | None = None
    as_them: str = ""

    @classmethod
    def of(cls, viewer: Viewer, scope: Scope, address: Address, tab: str, right: str) -> ScopeMenu | None:
        """Return the menu of a tab's page; None for who has their own alone, or sees it as another."""
        if viewer.is_as_another:
            return None
        choices = [("", _("Your records")), *_choices(viewer, right)]
        if len(choices) == 1:
            return None
        if scope.of not in dict(choices):
            choices.append((scope.of, scope.label))
        bare = address.without(*_OF_OTHERS)
        options = [ScopeOption(label, bare.with_(**{OF: of}), of == scope.of) for of, label in choices]
        sees_all = may_see_all(viewer, right)
        return cls(
            label=dict(choices)[scope.of],
            options=options,
            people=f"{reverse('scope-people')}?{urlencode({'tab': tab})}" if sees_all else "",
            everyone=Address({OF: (EVERYONE,)}) if sees_all else None,
            as_them=_as_them(viewer, scope) if scope.kind is ScopeKind.PERSON else "",
        )


def _as_them(viewer: Viewer, scope: Scope) -> str:
    """Return where the viewer may see the pages of the one person whom a scope means as that person does."""
    person = User(pk=int(scope.of.partition(":")[2]))
    return reverse("see-as", args=[person.pk]) if may_see_as(viewer.reader, person) else ""


def _choices(viewer: Viewer, right: str) -> list[tuple[str, str]]:
    everyone = [(EVERYONE, _("Everyone"))] if may_see_all(viewer, right) else []
    teams = teams_of(viewer, right).order_by("name", "pk")[:_MOST_TEAMS]
    return [*everyone, *((said_of_team(team), team.name) for team in teams)]


def menu_of_people(
    scope: Scope, names: Names, chosen: Sequence[str], label: str, tab: str
) -> list[FilterMenu]:
    """Return the menu of the people of a scope, where it is of several: few are listed, many searched for."""
    if not scope.is_of_several:
        return []
    listed = {int(number) for number in chosen if number.isdecimal()}
    find = find_in(scope, "person", tab)
    if not scope.is_everyone and len(scope.ids) <= MOST_LISTED:
        members = User.objects.filter(pk__in=scope.ids, merged_into=None)
        listed, find = listed.union(members.values_list("pk", flat=True)), ""
    names.learn(listed)
    options = [
        Option(str(number), names.of.get(number, str(number)), str(number) in chosen) for number in listed
    ]
    options.sort(key=lambda option: (option.label.casefold(), option.value))
    return [FilterMenu("person", label, options, typed=True, find=find)]


def find_in(scope: Scope, menu: str, tab: str) -> str:
    """Return where the values of a filter's menu are searched for, in a scope of too many to be listed."""
    return f"{reverse('scope-options')}?{urlencode({'tab': tab, 'menu': menu, OF: scope.of})}"


MOST_LISTED = 300
