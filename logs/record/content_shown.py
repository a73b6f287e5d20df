"""What the details say of a record's content: the content, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.staff.rights import Reading
from logs.content import contents
from logs.content.contents import Content
from logs.models import Level, UsageRecord
from logs.record.conversation import Turn, conversation, rendered
from routescope.data.scopes import Scope
from routescope.text import formatting


@dataclass(frozen=True, slots=True)
class ContentShown:
    """``state``: shown, or why not: none, off, expired, withheld, asked, lost, removed. ``notes`` say what
    was left out. ``asked``: another's, which is shown when it is asked for.
    """

    state: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()
    raw: Any = None

    @property
    def is_formatted(self) -> bool:
        """Whether some of the texts have Markdown that is rendered."""
        return any(part.html for turn in self.turns for part in turn.parts)


def shown(
    record: UsageRecord,
    loaded: dict[UUID, Content | None],
    reading: Reading = Reading.OPEN,
    scope: Scope | None = None,
) -> ContentShown:
    """Return what to show of a record's content, given what could be loaded.

    ``reading`` is how the viewer of a scope may read it (``accounts.staff.rights.reading_of``).
    """
    if record.content is None:
        return ContentShown("none", _("Never captured: the gateway sent neither input nor output."))
    if record.content == Level.OFF:
        return ContentShown(
            "off", _("Never captured: the content policy for this gateway, group or token was off.")
        )
    if contents.is_expired(record.pk):
        reason = _("Expired: content is kept for %(days)s days.")
        return ContentShown("expired", reason % {"days": settings.CONTENT_RETENTION_DAYS})
    if reading is Reading.ASKED:
        return ContentShown(
            "asked", _("Hidden: it is another person's. The audit log records each look at it.")
        )
    if reading is Reading.WITHHELD:
        return ContentShown("withheld", _withheld(record, scope))
    if record.pk not in loaded:
        return ContentShown("removed", _("Removed: the content is no longer stored."))
    content = loaded[record.pk]
    if content is None:
        return ContentShown(
            "lost", _("Unreadable: the key that it was encrypted with is no longer configured here.")
        )
    return ContentShown(
        "shown",
        notes=tuple(_notes(record, content)),
        turns=tuple(rendered(conversation(content.input, content.output))),
        raw={"input": content.input, "output": content.output},
    )


def _withheld(record: UsageRecord, scope: Scope | None) -> str:
    if scope is not None and scope.is_without_content:
        return _("Hidden: a team's records are shown without input and output.")
    if scope is None or record.user_id in scope.reader.ids:
        return _(
            "Hidden: it was recorded under a name that was merged into yours. Administrators need the "
            "right to view usage content to read it."
        )
    return _(
        "Hidden: it is another person's. Administrators need the right to view usage content to read it."
    )


def _notes(record: UsageRecord, content: Content) -> list[str]:
    notes = []
    if content.level == Level.REDACTED:
        notes.append(
            _("Redacted: secrets, e-mail addresses, phone and card numbers were left out on arrival.")
        )
    if content.is_truncated:
        notes.append(
            _("Truncated: at most %(most)s bytes of each side are kept; %(input)s and %(output)s were sent.")
            % {
                "most": formatting.exact(settings.CONTENT_MAX_BYTES),
                "input": formatting.exact(content.input_bytes or 0),
                "output": formatting.exact(content.output_bytes or 0),
            }
        )
    if content.input is None:
        notes.append(_("The gateway sent no input."))
    if content.output is None:
        notes.append(_("The gateway sent no output."))
    until = formatting.day(contents.expires_at(record.pk))
    notes.append(_("Kept until %(day)s.") % {"day": until})
    return notes
