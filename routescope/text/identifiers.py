"""What may be an ID or a name: the one rule, for every format that comes in and for everything searched for.

- Refused is what is empty: it identifies nothing.
- Cleaned are white space around it, and characters that no page, URL or file can show: control characters,
  line breaks and half characters become U+FFFD.
- One are names and IDs that look the same: letters are composed (Unicode NFC), and marks that nobody sees go
  (zero-width spaces, directions). Joiners stay between letters that they join.
- Replaced is a secret in it, by a digest of the secret (`redaction.without_secrets_in_name`).
- Kept is everything else, as it came: spaces, brackets, quotes, percent signs, slashes, any script.
- Shortened is an ID of more than ``MAX_BYTES``, to its beginning and a digest of the whole.

Who looks for an ID does to it what was done when it came (`kept`): so whatever was accepted is found by the
whole ID that a client knows. What a record is known again by, when it is sent twice, is the ID as it came.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import partial

from routescope.text.redaction import without_secrets_in_name

MAX_BYTES = 2_500
"""Of an ID in UTF-8. LiteLLM's for the Responses API have up to some 2,300; a row of an index holds 2,704."""

_DIGEST_BYTES = 16
_CUT_MARK = "~"
_FORMER_MAX = 255
"""Characters that some formats cut IDs to, until they were kept whole."""
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_UNSHOWABLE_IN_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0e\ufeff]"
    "|(?<![^\\x00-\\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\\x00-\\x7f])"
)


def kept(text: str) -> str:
    """Return an ID as it is stored and searched for. Doing it again changes nothing."""
    text = without_secrets_in_name(shown(text))
    if len(text) <= MAX_BYTES // 4 or len(encoded := text.encode()) <= MAX_BYTES:
        return text
    digest = hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES).hexdigest()
    room = MAX_BYTES - len(_CUT_MARK) - len(digest)
    return f"{encoded[:room].decode(errors='ignore')}{_CUT_MARK}{digest}"


def former(text: str) -> str | None:
    """Return how spans and imported rows had this ID before long ones were kept whole; None if just so."""
    text = text.strip()
    return text[:_FORMER_MAX] if len(text) > _FORMER_MAX else None


def shown(text: str) -> str:
    """Return a name, a word or an ID without what cannot be shown, and without white space around it."""
    # Of what is printable nothing is replaced, which Python knows faster than a pattern does.
    if text.isascii():
        return text.strip() if text.isprintable() else _UNSHOWABLE.sub(_REPLACEMENT, text.strip())
    # What stood apart by a mark that nobody sees may now be one letter.
    text = _composed(_INVISIBLE.sub("", _composed(text))).strip()
    return text if text.isprintable() else _UNSHOWABLE.sub(_REPLACEMENT, text)


_composed = partial(unicodedata.normalize, "NFC")


def prose(text: str) -> str:
    """Return a text of several lines without what cannot be shown: line breaks and tabs stay."""
    return text if text.isprintable() else _UNSHOWABLE_IN_PROSE.sub(_REPLACEMENT, text)


def storable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold, and otherwise as it is."""
    return text if text.isprintable() else _UNSTORABLE.sub(_REPLACEMENT, text)
