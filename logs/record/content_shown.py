"""What the details say of a record's content: the content, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from logs.content import contents
from logs.content.contents import Content
from logs.models import Level, UsageRecord
from logs.record.conversation import Turn, conversation, rendered
from routescope.text import formatting


@dataclass(frozen=True, slots=True)
class ContentShown:
    """``state``: shown, or why not: none, off, expired, withheld, lost, removed. ``notes`` say what was left
    out.
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


def shown(record: UsageRecord, loaded: dict[UUID, Content | None], *, withheld: bool = False) -> ContentShown:
    """Return what to show of a record's content, given what could be loaded.

    ``withheld``: nothing was, since the viewer lacks the right (``accounts.staff.rights.may_read_content``).
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
    if withheld:
        return ContentShown(
            "withheld",
            _(
                "Hidden: it was recorded under a name that was merged into yours. Administrators need the "
                "right to view usage content to read it."
            ),
        )
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
