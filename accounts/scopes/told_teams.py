"""Teams that a gateway tells of: each of its groups is one, and whoever is recorded in it is a member.

A gateway tells from when on somebody is in a team, and nothing else: that they left, and what leads may see
of earlier records, an admin says. Whoever is or was in a team is not told again: what an admin ended stays.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.models import Gateway, Membership, Team, User
from routescope.data.apart import is_apart, must_be_there
from routescope.text.identifiers import shown

_KEPT_SECONDS = 600.0
"""How long a process goes by what it knows: a team that was deleted is told again after that."""
_MOST_KNOWN = 100_000

_known: dict[tuple[int, str, int], float] = {}
"""By gateway, group and user who is or was in the team: until when this process asks no more (monotonic)."""


def keep(gateway: Gateway, seen: Iterable[tuple[str, int, datetime]]) -> None:
    """Keep whom a gateway's groups were recorded with: a group's name, a user's id, and when (UTC).

    Makes the teams and members that are missing, each a member from the first of these times on; of a user
    who was merged the one that they are now. Does nothing, and asks nothing, unless the gateway's groups are
    teams. What this process knows already costs no query. Raises NotThereError in a transaction that has
    teams made apart (`routescope.data.apart`).
    """
    if not gateway.groups_are_teams:
        return
    now = time.monotonic()
    news: dict[tuple[str, int], datetime] = {}
    for name, user_id, at in seen:
        if name and _known.get((gateway.pk, name, user_id), now) <= now:
            news[name, user_id] = min(news.get((name, user_id), at), at)
    if not news:
        return
    people = _people({user_id for _, user_id in news})
    here = _members(gateway, {name for name, _ in news}, people)
    missing: dict[str, dict[int, datetime]] = {}
    for (name, user_id), at in news.items():
        person = people.get(user_id)
        if person is not None and (name, person) not in here:
            members = missing.setdefault(name, {})
            members[person] = min(members.get(person, at), at)
    if missing:
        must_be_there(partial(keep, gateway, [(*one, at) for one, at in news.items()]))
        # In one order, which a transaction around this one keeps.
        for name in sorted(missing):
            _tell(gateway, name, missing[name], people)
    if connection.in_atomic_block and not is_apart():
        # It may never be committed.
        return
    if len(_known) > _MOST_KNOWN:
        _known.clear()
    _known.update({(gateway.pk, *one): now + _KEPT_SECONDS for one in news})


def _people(ids: Collection[int]) -> dict[int, int]:
    """Return who each user is: of these, and of all who are one with them."""
    who = Coalesce("merged_into", "pk")
    heads = list(User.objects.filter(pk__any=ids).values_list(who, flat=True))
    families = User.objects.filter(Q(pk__any=heads) | Q(merged_into__any=heads))
    return dict(families.values_list("pk", who))


def _members(gateway: Gateway, names: Collection[str], people: Mapping[int, int]) -> set[tuple[str, int]]:
    """Return who of these is or was in which of the gateway's teams."""
    rows = Membership.objects.filter(
        team__told_by=gateway, team__external_id__any=names, user__any=list(people)
    )
    return {(str(name), people[user]) for name, user in rows.values_list("team__external_id", "user")}


def _tell(gateway: Gateway, name: str, members: Mapping[int, datetime], people: Mapping[int, int]) -> None:
    """Make a team, if it is new, and those of its members who are missing."""
    teams = Team.objects.filter(told_by=gateway, external_id=name).order_by("pk")
    with transaction.atomic():
        if not teams.exists():
            made = Team(told_by=gateway, external_id=name, name=shown(name) or name)
            Team.objects.bulk_create([made], ignore_conflicts=True)
        # Others who tell of it wait here, and then see whom this one told of.
        team = teams.select_for_update(no_key=True).first()
        if team is None:
            # Deleted meanwhile: told again later.
            return
        rows = team.memberships.filter(user__any=list(people)).values_list("user", flat=True)
        here = {people[user] for user in rows}
        Membership.objects.bulk_create(
            (
                Membership(team=team, user_id=person, since=at, told_by=gateway)
                for person, at in sorted(members.items())
                if person not in here
            ),
            ignore_conflicts=True,
        )
