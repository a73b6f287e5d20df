"""What the details say of a record's counts: each kind by its name, and how they were read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from logs.models import UsageRecord
from logs.models.events import COUNTS_READ
from routescope.text import formatting

ESTIMATED = _lazy("Estimated: counted by the gateway, not reported by the provider")
"""What is to be known of the tokens of a call whose provider reported none."""
_FURTHER = {
    "cache_write_1h_tokens": _lazy("of it kept for an hour"),
    "cached_audio_tokens": _lazy("Cached audio input"),
    "image_input_tokens": _lazy("Image input"),
    "image_output_tokens": _lazy("Image output"),
    "video_seconds": _lazy("Video seconds"),
    "audio_seconds": _lazy("Audio seconds"),
    "characters": _lazy("Characters"),
    "pages": _lazy("Pages"),
    "web_search_count": _lazy("Web searches"),
    "file_search_count": _lazy("File searches"),
    "code_session_count": _lazy("Code sessions"),
    "tool_call_count": _lazy("Tool calls"),
}
_PARTS = {
    "cached": _lazy("cached input"),
    "written": _lazy("cache writes"),
    "audio_input": _lazy("audio input"),
    "image_input": _lazy("image input"),
    "tool_input": _lazy("what tools brought in"),
    "reasoning": _lazy("reasoning"),
    "audio_output": _lazy("audio output"),
    "image_output": _lazy("image output"),
}


def counted(record: UsageRecord) -> list[tuple[str, str]]:
    """Return what a record counts as (label, number) pairs: input and output always, the rest where told.

    Of a call that is counted in pieces alone, not that it has no tokens.
    """
    in_pieces = not (record.input_tokens or record.output_tokens) and bool(
        record.image_count or record.quantities
    )
    always = (
        (_("Input"), None if in_pieces else record.input_tokens),
        (_("of it cached"), record.cached_tokens or None),
        (_("Cache write"), record.cache_write_tokens or None),
    )
    rest = (
        (_("Output"), None if in_pieces else record.output_tokens),
        (_("of it reasoning"), record.reasoning_tokens or None),
        (_("Audio input"), record.audio_input_tokens or None),
        (_("Audio output"), record.audio_output_tokens or None),
        (_("Images"), record.image_count or None),
    )
    further = dict(record.quantities or {})
    written = [("cache_write_1h_tokens", further.pop("cache_write_1h_tokens", None))]
    found: list[tuple[str, Any]] = [
        *always,
        *((_label(name), count) for name, count in written),
        *rest,
        *((_label(name), count) for name, count in further.items()),
    ]
    return [(label, _number(count)) for label, count in found if count is not None]


def how_read(record: UsageRecord) -> str:
    """Return in a sentence how the counts were read that the gateway sent; nothing where as they came.

    The rule is that of `logs.ingest.formats.counts`.
    """
    read = (record.metadata or {}).get(COUNTS_READ)
    sent = read.get("sent") if isinstance(read, Mapping) else None
    if not isinstance(read, Mapping) or not isinstance(sent, Mapping):
        return ""
    numbers = {name: _number(sent.get(name)) for name in ("input", "output", "total")}
    if read.get("contradiction") is True:
        return _(
            "The counts contradict each other: %(input)s in and %(output)s out were sent with a total of"
            " %(total)s. They are kept as they were sent, and the catalogue prices none of them."
        ) % (numbers)
    beside = read.get("beside")
    told = [one for one in beside if isinstance(one, str)] if isinstance(beside, list) else []
    names = [str(_PARTS[one]) for one in told if one in _PARTS]
    if not names:
        return _(
            "%(input)s in and %(output)s out were sent; what was not counted there is what the total of"
            " %(total)s leaves."
        ) % (numbers)
    numbers["parts"] = ", ".join(names)
    sentences = {
        "total": _(
            "%(input)s in and %(output)s out were sent, with %(parts)s beside them: the total of %(total)s"
            " says so."
        ),
        "size": _(
            "%(input)s in and %(output)s out were sent, with %(parts)s beside them: they are more than what"
            " would hold them."
        ),
        "dialect": _(
            "%(input)s in and %(output)s out were sent, with %(parts)s beside them, as this sender counts."
        ),
    }
    return sentences.get(str(read.get("by")), "") % numbers


class HasTokens(Protocol):
    """What has tokens: a record, or what of it a list shows."""

    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def usage_estimated(self) -> bool | None: ...


def in_and_out(one: HasTokens, between: str = "›") -> SafeString:
    """Write what went in and came out, as short as a list needs, with all digits for a pointer.

    Before what a gateway estimated stands a sign, with words for who reads otherwise.
    """
    # Digits and signs alone: nothing to escape.
    exact = f"{formatting.exact(one.input_tokens)} {between} {formatting.exact(one.output_tokens)}"
    short = f"{formatting.compact(one.input_tokens)} {between} {formatting.compact(one.output_tokens)}"
    if one.usage_estimated:
        mark = format_html(
            '<span class="estimated" aria-hidden="true">≈</span><span class="visually-hidden">{} </span>',
            _("estimated"),
        )
        return format_html('<span title="{} · {}">{}{}</span>', exact, ESTIMATED, mark, short)
    return mark_safe(short if short == exact else f'<span title="{exact}">{short}</span>')  # noqa: S308


def _label(name: str) -> str:
    return str(_FURTHER.get(name) or name.replace("_", " ").capitalize())


def _number(count: Any) -> str:
    return formatting.exact(count if isinstance(count, int | float) else None)
