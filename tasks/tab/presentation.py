"""What the pages show of a task beside its own fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django_stubs_ext import StrPromise

from accounts.gateways import error_texts
from accounts.models import User
from accounts.staff.rights import Reading, reading_of
from routescope.config import links
from routescope.data.scopes import Scope
from routescope.wire import outbound
from tasks.models import MADE_STATUSES, AsyncTask, EventKind, TaskEvent, TaskStatus
from tasks.outcomes import privacy
from tasks.outcomes.causes import Verdict, verdict_on
from tasks.providers.catalogue import Catalogue

MEDIA_KINDS = ("image", "audio", "video")
_HIDDEN = _l("Hidden: a team's failures are shown without their words, which may quote what was sent.")
LOOK = "look"
"""The parameter by which a frame says that a look at another's media was asked for and noted."""
LOOK_SECONDS = 600
_SALT = "tasks.looks"
MOST_SHOWN = 12
"""Media of a task that are shown, each in a frame of its own; the links lead to all of them."""
_WORDS = {
    "image": _l("Image"),
    "audio": _l("Audio"),
    "video": _l("Video"),
    "text": _l("Text"),
    "json": _l("Data"),
    "file": _l("File"),
}
_QUIET = 2
"""Polls in a row without news are shown one by one up to here, and as a count beyond."""


@dataclass(frozen=True, slots=True)
class ShownPiece:
    """A piece of a result. ``shown``: it can be shown in the page, in a sandbox."""

    kind: str
    url: str = ""
    text: str = ""
    data: Any = None
    withheld: str = ""
    """Why there is no text or data."""
    needs_key: bool = False
    shown: bool = False
    number: int = 0
    """Which of its kind it is, from 1, where it is shown."""
    poster: str = ""
    """The picture that stands for a video until it plays."""

    @property
    def word(self) -> str:
        return str(_WORDS.get(self.kind, self.kind))

    @property
    def title(self) -> str:
        return _("%(kind)s %(number)s") % {"kind": self.word, "number": self.number}

    @property
    def note(self) -> str:
        """Why it is not shown though it is a picture, a sound or a film, and how one gets it."""
        if self.needs_key:
            return _("Fetch it through the gateway: it opens only with the provider's key.")
        if self.shown or self.kind not in MEDIA_KINDS:
            return ""
        if self.is_link:
            return _("It is not loaded here, because its address is not encrypted (http): open the link.")
        return _("It is in the provider's own storage: fetch it with the provider's tools and account.")

    @property
    def is_link(self) -> bool:
        return self.url.startswith(("https://", "http://")) and not self.needs_key

    @property
    def name(self) -> str:
        """The last part of the URL's path, for a link that can be read."""
        try:
            return urlsplit(self.url).path.rpartition("/")[2] or self.url
        except ValueError:
            return self.url


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline: one event, or several polls without news."""

    event: TaskEvent
    count: int = 1
    until: datetime | None = None

    @property
    def mark(self) -> str:
        """The class that colours its dot."""
        if self.event.after in (TaskStatus.SUCCEEDED, TaskStatus.PARTIALLY_SUCCEEDED):
            return "is-done"
        if self.event.after in (TaskStatus.FAILED, TaskStatus.MODERATED, TaskStatus.EXPIRED):
            return "is-error"
        return "is-running" if self.event.after == TaskStatus.RUNNING else ""


@dataclass(frozen=True, slots=True)
class Details:
    """All that a task's details show. ``withheld``: there is a result, and the reader may not see it, and
    ``asked``: it is another's, and is shown when it is asked for. ``ticket`` opens its media, after another
    parameter of their addresses.
    """

    verdict: Verdict | None
    pieces: list[ShownPiece]
    timeline: list[Entry]
    expired: bool
    playground_url: str
    reference_url: str
    media: list[ShownPiece] = field(default_factory=list)
    withheld: bool = False
    asked: bool = False
    ticket: str = ""
    failure_note: StrPromise | None = None
    """What of the failure's reason was not kept."""
    not_shown: int = 0
    """Of the media, how many are beyond `MOST_SHOWN`."""


def attach_names(tasks: Iterable[AsyncTask], catalogue: Catalogue) -> None:
    """Give each task its platform's real name as ``platform_name``."""
    for task in tasks:
        task.platform_name = catalogue.label(task.platform)


def details_of(
    task: AsyncTask, catalogue: Catalogue, scope: Scope, *, is_asked: bool = False, content: bool = True
) -> Details:
    """Collect what may be seen of a task that a scope holds.

    A query for its timeline, and one for what it made, where that is kept. ``is_asked``: what another's task
    made was asked for, and the audit log says so. ``content`` False: it is not read, as if it might not be.
    """
    attach_names([task], catalogue)
    expired = task.result_expires_at is not None and task.result_expires_at <= timezone.now()
    reading = reading_of(scope, task.user_id) if task.result else Reading.OPEN
    if task.result and not content:
        reading = Reading.WITHHELD
    is_shown = reading is Reading.OPEN or (is_asked and reading is Reading.ASKED)
    pieces = pieces_of(task) if is_shown else []
    media = [] if expired else _numbered([piece for piece in pieces if piece.shown])
    events = list(task.events.order_by("at", "pk"))
    if scope.is_without_content:
        for event in events:
            # A provider's words.
            event.note = ""
    about = {
        "model": task.model.name if task.model else "",
        "task_type": task.type,
        "request_id": task.request_id or "",
        "platform": task.platform,
    }
    return Details(
        verdict=verdict_on(task),
        pieces=pieces,
        timeline=list(entries(events)),
        expired=expired,
        playground_url=links.filled(settings.PLAYGROUND_URL, **about),
        reference_url=links.filled(settings.API_REFERENCE_URL, **about),
        media=media[:MOST_SHOWN],
        not_shown=len(media[MOST_SHOWN:]),
        withheld=reading is Reading.WITHHELD or (scope.is_without_content and task.status in MADE_STATUSES),
        asked=reading is Reading.ASKED and not is_shown,
        ticket=f"&{LOOK}={_ticket(task, scope.reader)}" if reading is Reading.ASKED and is_shown else "",
        failure_note=_HIDDEN if scope.is_without_content else error_texts.note(task.failure_message),
    )


def is_opened(ticket: str, task: AsyncTask, reader: User) -> bool:
    """Say whether a ticket opens a task's media for a reader: it is given where the look was noted."""
    try:
        return bool(signing.loads(ticket, salt=_SALT, max_age=LOOK_SECONDS) == [str(task.pk), reader.pk])
    except signing.BadSignature:
        return False


def _ticket(task: AsyncTask, reader: User) -> str:
    return signing.dumps([str(task.pk), reader.pk], salt=_SALT)


def pieces_of(task: AsyncTask) -> list[ShownPiece]:
    """Return the pieces of a task's result."""
    return [_piece(raw) for raw in privacy.results_of([task]).get(task.pk, ())]


def entries(events: Sequence[TaskEvent]) -> Iterable[Entry]:
    """Return the timeline's lines, oldest first; a run of polls without news is one line with its count."""
    # By what they mean: that a poll was cut short is not lost among those that brought nothing.
    for (quiet, _reason), run in groupby(events, key=_quiet):
        found = list(run)
        if quiet and len(found) > _QUIET:
            yield Entry(found[-1], count=len(found), until=found[0].at)
        else:
            yield from (Entry(event) for event in found)


def _numbered(shown: Sequence[ShownPiece]) -> list[ShownPiece]:
    """Return the media numbered by kind. As many pictures as videos are what these begin with."""
    pictures = [piece.url for piece in shown if piece.kind == "image"]
    videos = sum(piece.kind == "video" for piece in shown)
    posters = pictures if videos == len(pictures) else []
    if posters:
        shown = [piece for piece in shown if piece.kind != "image"]
    found: list[ShownPiece] = []
    for piece in shown:
        number = 1 + sum(other.kind == piece.kind for other in found)
        poster = posters[number - 1] if posters and piece.kind == "video" else ""
        found.append(replace(piece, number=number, poster=poster))
    return found


def _quiet(event: TaskEvent) -> tuple[bool, str]:
    quiet = event.kind == EventKind.POLL and not event.after
    return quiet, event.reason if quiet else ""


def _piece(raw: dict[str, Any]) -> ShownPiece:
    kind, url = str(raw.get("kind", "file")), str(raw.get("url", ""))
    needs_key = bool(raw.get("needs_key"))
    shown = kind in MEDIA_KINDS and not needs_key and outbound.may_be_shown(url)
    text, withheld = str(raw.get("text", "")), str(raw.get("withheld", ""))
    return ShownPiece(kind, url, text, raw.get("data"), withheld, needs_key, shown)
