"""An ID that none of one's records has: what it may be instead, and where that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.scopes.deciding import EVERYONE, may_see_all
from logs.filters.asked import VIEW_ALL
from logs.listing.own_records import MOST_RESEMBLING
from logs.models import UsageRecord
from logs.record import details
from logs.usage.explanations import Action, Explanation, Reason, another_account, just_now, oldest_kept
from routescope.contracts import tabs
from routescope.data.scopes import OF
from routescope.filters.address import Address
from routescope.text import formatting, pasted

if TYPE_CHECKING:
    from logs.filters.usage_filter import UsageFilter


def unknown_id(filters: UsageFilter, alike: Sequence[str] = ()) -> Explanation:
    """Say why no record with the ID that was searched for is listed.

    ``alike`` are IDs of which it is a part.
    """
    searched = filters.searched_id
    clear = Action(_("Clear the search"), filters.address.without("request_id"))
    if pasted.is_key(searched):
        text = _(
            "It was not searched for, and appears neither here nor in this page's address. A request ID"
            " never looks like this."
        )
        return Explanation(_("This is an API key, not a request ID"), "", [Reason("key", text, (clear,))])
    known = [*_known_elsewhere(filters), *_known_by_name(filters)]
    guesses = [] if any(reason.kind == "task" for reason in known) else [_perhaps_a_task(filters)]
    return Explanation(
        _("No record with this ID"),
        "",
        [
            *known,
            *_a_part_of(filters, alike),
            *_of_no_known_shape(searched, clear, alike),
            *guesses,
            *_among_others(filters),
            just_now(filters.address),
            Reason(
                "retention",
                _("It may be too old: records from before %(day)s have been deleted.")
                % {"day": formatting.day(oldest_kept(filters.now))},
                sure=False,
            ),
        ],
    )


def _known_elsewhere(filters: UsageFilter) -> Iterator[Reason]:
    searched, path = filters.searched_id, reverse("usage")
    for place in tabs.elsewhere(filters.scope, searched, besides="usage"):
        yield Reason(
            "task",
            _("It is the ID of one of your async tasks, which are in %(tab)s.") % {"tab": place.label},
            (Action(_("Show the task"), url=place.url),),
        )
    records = UsageRecord.objects.visible_to(filters.scope)
    call = records.filter(task_id=searched).order_by("id").values_list("request_id", flat=True).first()
    if call:
        yield Reason(
            "call",
            _("It is the ID of an async task. The request that submitted it has another ID."),
            (Action(_("Show the request"), url=_found(filters, path, call)),),
        )
    record = _as_uuid(searched)
    if record and _exists(filters, record):
        yield Reason(
            "record",
            _("It is the internal ID of one of your records, not its request ID."),
            (Action(_("Show the record"), url=reverse("usage-record", args=[record]) + filters.whole.query),),
        )


def _known_by_name(filters: UsageFilter) -> Iterator[Reason]:
    for name, known, text in (
        ("model", filters.vocabulary.models, _("It is the name of a model.")),
        ("token", filters.vocabulary.tokens, _("It is the name of one of your tokens.")),
        ("group", filters.vocabulary.groups, _("It is the name of a group.")),
    ):
        if filters.searched_id in known:
            chosen = {name: filters.searched_id}
            query = filters.address.with_(request_id="", **chosen)
            yield Reason(name, text, (Action(_("Filter by it"), query),))


def _a_part_of(filters: UsageFilter, alike: Sequence[str]) -> Iterator[Reason]:
    if alike:
        path = reverse("usage")
        ways = tuple(Action(one, url=_found(filters, path, one)) for one in alike)
        yield Reason("part", _("It is part of several of your newest IDs. Which one?"), ways)


def _of_no_known_shape(searched: str, clear: Action, alike: Sequence[str]) -> Iterator[Reason]:
    if pasted.is_address(searched):
        text = _("It is a web address, and no part of it is a request ID.")
    elif pasted.is_email(searched):
        text = _("It is an e-mail address. Records are searched by request ID only.")
    elif pasted.is_shortened(searched) and not alike:
        text = _(
            "It is shortened, and none of the newest %(n)s records in this range has an ID like it."
            " Copy the whole ID, or choose another range."
        ) % {"n": formatting.exact(MOST_RESEMBLING)}
    elif len(searched) < pasted.SHORTEST:
        text = _("It is shorter than any request ID. Copy the whole ID.")
    else:
        return
    yield Reason("shape", text, (clear,))


def _perhaps_a_task(filters: UsageFilter) -> Reason:
    url = f"{reverse('tasks')}?{urlencode({'task_id': filters.searched_id})}{filters.whole.further}"
    return Reason(
        "task",
        _("It may be the ID of an async task; those are in Task Logs."),
        (Action(_("Search Task Logs"), url=url),),
        sure=False,
    )


def _among_others(filters: UsageFilter) -> Iterator[Reason]:
    """Say that it may be another's; to whom may see everybody's records, with the way to search these."""
    if filters.whole.is_everyone:
        return
    if filters.whole.is_own and may_see_all(filters.whole.viewer, VIEW_ALL):
        asked = Address({OF: [EVERYONE], "request_id": [filters.searched_id]})
        yield Reason(
            "account",
            _("It may belong to another account."),
            (Action(_("Search everyone's records"), query=asked),),
            sure=False,
        )
    else:
        yield another_account()


def _found(filters: UsageFilter, path: str, identifier: str) -> str:
    return f"{path}?{urlencode({'request_id': identifier})}{filters.whole.further}"


def _exists(filters: UsageFilter, record: UUID) -> bool:
    try:
        details.one(filters.whole, record)
    except Http404:
        return False
    return True


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
