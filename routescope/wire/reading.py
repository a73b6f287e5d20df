"""Taking JSON bodies of records apart, one by one, and the bounds of a record's values."""

from __future__ import annotations

import codecs
import contextlib
import math
import re
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from django.conf import settings

from routescope.data.ids import EPOCH
from routescope.wire.client_address import client_of
from routescope.wire.json_parts import BrokenError, Steps, elements, is_one_value, is_within

MAX_RECORDS = 10_000
MAX_SPANS = 50_000
"""Spans of one request, of which at most ``MAX_RECORDS`` may be model calls."""
MAX_ERROR_CHARACTERS = 8_000
MAX_JSON_BYTES = 64 * 1024
MAX_ID = 255
MAX_NAME = 200
MAX_TEXT = 1000
MAX_COUNT = 2**31 - 1
MONEY_PLACES = 12

MAX_USD = Decimal(10**12)
"""What a record's cost may not reach. Sums are kept with 24 digits before the point, so that they hold it."""
SUM_DIGITS = 60
"""Digits to add costs up with, where Python does it: by default it rounds to 28."""
MAX_DEPTH = 100
"""Of JSON that is kept: what is done with it goes down level by level."""
MAX_PARTS = 200_000
"""Values in one piece of JSON that something is built of."""
MAX_DIGITS = 40
"""Of a whole number in JSON that is kept. Python itself refuses to write those of more than 4,300."""

_LONG = 10**MAX_DIGITS
LONG_NUMBER = re.compile(rb"\d{%d}" % (MAX_DIGITS + 1))
_USD_DIGITS = MAX_USD.adjusted()
_PLACES = Decimal(1).scaleb(-MONEY_PLACES)
_NOTHING = Decimal(0).quantize(_PLACES)
_LATEST = 10**11
"""Epoch seconds from here on are in the year 5138: surely milliseconds."""
_LAST_YEAR = 5000
_LONGEST_SECRET = 2048
_PARTS_OF_SECRETS = "".join(map(chr, range(0x21, 0x7F)))
_PARTS_OF_NUMBERS = "0123456789 ()+./-"

_PIECE = 64 * 1024

_LINE = re.compile(rb"[^\r\n]+")
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*+)\\u0000")
_HALF = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\\Z)*+)(\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\Z)",
    re.DOTALL,
)
_NO_NUMBER = re.compile(
    rb'((?:[^"NI-]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|-(?!Infinity)|N(?!aN)|I(?!nfinity))*+)(-?Infinity|NaN|\Z)',
    re.DOTALL,
)
_WHOLE = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|(-?[0-9]++)\.0++(?![0-9eE.])|[0-9.eE+-]++', re.DOTALL
)
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.encode


class FormatError(ValueError):
    """A body in which nothing can be decoded (``status`` 400), or that holds too much (413)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class RecordError(ValueError):
    """A record that cannot be kept. ``str()`` says what to mend: "field: what is amiss with it"."""


def split(body: bytes, most: int = MAX_RECORDS) -> list[bytes]:
    """Return the raw bytes of each record of a JSON array, of NDJSON, or of one JSON object.

    They are `sanitised`. Told apart by looking, as clients send NDJSON with ``Content-Type:
    application/json``. What is amiss within one record is for its decoder to find: it costs no other.
    Raises FormatError where there is no record, over ``most`` of them, or where the array does not end.
    """
    text = sanitised(body).removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise FormatError("The body is empty: send a JSON array, one JSON object, or one object per line.")
    if text[:1] == b"[":
        return _elements(text, most)
    if text[:1] != b"{":
        raise FormatError("The body is neither a JSON array, nor a JSON object, nor one object per line.")
    try:
        return [bytes(_decode_one(text))]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if is_one_value(text, Steps()):
            return [text]
        lines = (line[0] for line in _LINE.finditer(text))
        return _at_most((line for line in lines if line.strip()), most)


def _elements(text: bytes, most: int) -> list[bytes]:
    try:
        with counting(most):
            # Counted before anything is kept of them: an array of nothing but commas has millions.
            if len(_count(text)) > most:
                raise _too_many(most)
        return [bytes(raw) for raw in _decode_array(text)]
    except TooManyError:
        raise _too_many(most) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Something else than records is among them, or what JSON does not know, such as NaN or half a
        # character: which costs one record, and not all.
        try:
            return _at_most(elements(text, Steps()), most)
        except BrokenError as error:
            raise FormatError(f"The array is not valid JSON: {error}.") from error


def _at_most(records: Iterable[bytes], most: int) -> list[bytes]:
    found = list(islice(records, most + 1))
    if len(found) > most:
        raise _too_many(most)
    return found


def _too_many(most: int) -> FormatError:
    return FormatError(f"More than {most:,} records in one request: send at most {most:,}.", 413)


# --- Counting ----------------------------------------------------------------------------------------------


class TooManyError(Exception):
    """More objects came than were to be counted."""


class _Counter(threading.local):
    left = 0


_counter = _Counter()


class Counted(msgspec.Struct, gc=False):
    """An object of which nothing is kept but that it came. Only decoded within `counting`."""

    def __post_init__(self) -> None:
        _counter.left -= 1
        if _counter.left < 0:
            raise TooManyError


@contextlib.contextmanager
def counting(most: int) -> Iterator[None]:
    """Have the decoders of `Counted` raise TooManyError at more than ``most`` of them."""
    _counter.left = most
    yield


_count = msgspec.json.Decoder(list[Counted | None]).decode


# --- Mending -----------------------------------------------------------------------------------------------


def sanitised(raw: bytes) -> bytes:
    r"""Replace the character that PostgreSQL cannot store, ``\u0000``, by U+FFFD rather than lose a
    record.
    """
    return _NUL.sub(rb"\1\\ufffd", raw) if b"\\u0000" in raw else raw


def mended(raw: bytes) -> bytes:
    """Return JSON with U+FFFD for what is no character: bytes that are no UTF-8, halves of surrogate pairs.

    JavaScript cuts texts in the midst of a pair; what is decoded strictly is lost for the sake of one emoji.
    """
    text = raw if is_utf8(raw) else b"".join(_in_utf8(raw, "replace"))
    return _HALF.sub(lambda found: found[1] + rb"\ufffd" if found[2] else found[1], text)


def is_utf8(raw: bytes) -> bool:
    try:
        return raw.isascii() or all(True for _ in _in_utf8(raw, "strict"))
    except UnicodeDecodeError:
        return False


def _in_utf8(raw: bytes, errors: str) -> Iterator[bytes]:
    """Yield the bytes again piece by piece: decoded as one, they would take four times the room."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    for start in range(0, len(raw), _PIECE):
        piece = raw[start : start + _PIECE]
        yield decoder.decode(piece, final=start + _PIECE >= len(raw)).encode()


def without_no_numbers(raw: bytes) -> bytes:
    """Return JSON with ``null`` for NaN and Infinity, which Python writes and JSON does not know."""
    return _NO_NUMBER.sub(lambda found: found[1] + b"null" if found[2] else found[1], raw)


def with_whole_numbers(raw: bytes) -> bytes:
    """Return JSON with ``10`` for ``10.0``, as languages write whole numbers that have one kind of number."""
    return _WHOLE.sub(lambda found: found[1] or found[0], raw)


# --- Values ------------------------------------------------------------------------------------------------


def readable(error: msgspec.ValidationError) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.input_tokens`" into "input_tokens: expected ..."."""
    what, _, where = str(error).partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    what = what[:1].lower() + what[1:]
    return f"{field}: {what}" if field else what


def moment(value: str | float, field: str = "created_at") -> datetime:
    """Read an RFC 3339 time or epoch seconds as UTC. Raises RecordError naming ``field``."""
    if isinstance(value, str):
        try:
            # RFC 3339 allows a lower-case z, which Python does not.
            when = datetime.fromisoformat(f"{value[:-1]}Z" if value.endswith("z") else value)
        except ValueError:
            raise RecordError(
                f"{field}: {value[:50]!r} is not an RFC 3339 time such as 2025-01-31T09:30:00.123Z"
            ) from None
        if when.tzinfo is None:
            raise RecordError(f"{field}: {value[:50]!r} has no time zone; end it with Z or an offset")
        if when.tzinfo is not UTC:
            try:
                when = when.astimezone(UTC)
            except OverflowError:
                raise RecordError(f"{field}: {value[:50]!r} is out of range") from None
        if when.year > _LAST_YEAR:
            raise RecordError(f"{field}: {value[:50]!r} is out of range")
    elif not math.isfinite(value):
        raise RecordError(f"{field}: not a number of seconds")
    elif abs(value) >= _LATEST:
        raise RecordError(f"{field}: {value:.0f} looks like milliseconds; send epoch seconds")
    else:
        when = EPOCH + timedelta(microseconds=round(value * 1_000_000)) if value >= 0 else datetime.min
        when = when.replace(tzinfo=UTC)
    if when < EPOCH:
        raise RecordError(f"{field}: lies before 1970")
    return when


def amount(value: Decimal | None) -> Decimal | None:
    """Return USD to the places that are stored. Raises RecordError for what is no amount."""
    if value is None:
        return None
    # By its exponent: comparing 1E+4000000 overflows.
    if not value.is_finite() or (value and value.adjusted() >= _USD_DIGITS):
        raise RecordError(f"cost: not an amount of US dollars below {MAX_USD:,}")
    return value.quantize(_PLACES) or _NOTHING


def shortened(message: str, most: int = MAX_ERROR_CHARACTERS) -> str:
    """Bound an error's text; say how much was cut."""
    kept = cut(message, most)
    if kept is message:
        return message
    return f"{kept}… [{len(message) - len(kept):,} characters cut]"


def cut(text: str, most: int) -> str:
    """Return the first ``most`` characters, and not the beginning of what was cut through.

    Texts are cut before secrets are looked for in them; the first half of one would not be known for one.
    """
    if len(text) <= most:
        return text
    beginning = text[:most]
    whole = beginning.rstrip(_PARTS_OF_SECRETS).rstrip(_PARTS_OF_NUMBERS)
    return whole if len(beginning) - len(whole) <= min(_LONGEST_SECRET, most // 2) else beginning


def kept_json(raw: msgspec.Raw | bytes, field: str) -> Any:
    """Return the JSON that a record keeps with it, None for nothing.

    Raises RecordError over ``MAX_JSON_BYTES``, ``MAX_DEPTH`` or ``MAX_DIGITS``: asked before it is built.
    """
    text = bytes(raw)
    if len(text) > MAX_JSON_BYTES:
        text = _compact(text, field)
    if not is_within(text, depth=MAX_DEPTH, parts=MAX_JSON_BYTES):
        raise RecordError(f"{field}: nests deeper than {MAX_DEPTH} levels")
    try:
        value = msgspec.json.decode(text)
    except msgspec.ValidationError as error:
        raise RecordError(f"{field}: {readable(error)}") from None
    if not value:
        return None
    if LONG_NUMBER.search(text) and has_long_number(value):
        raise RecordError(f"{field}: a whole number of more than {MAX_DIGITS} digits; send it as text")
    return value


def built(raw: msgspec.Raw | bytes) -> Any:
    """Return decoded JSON; None for what cannot be read, or is too deep or has too much in it to be built."""
    text = bytes(raw)
    if not is_within(text, depth=MAX_DEPTH, parts=MAX_PARTS):
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if LONG_NUMBER.search(text) and has_long_number(value) else value


def _compact(text: bytes, field: str) -> bytes:
    """Return JSON without the white space and escapes that made it too large, if they did."""
    if len(text) <= 6 * MAX_JSON_BYTES and is_within(text, depth=MAX_DEPTH, parts=MAX_JSON_BYTES):
        text = _encode(msgspec.json.decode(text))
    if len(text) > MAX_JSON_BYTES:
        raise RecordError(
            f"{field}: {len(text):,} bytes of JSON are more than {MAX_JSON_BYTES:,}; send less of it"
        )
    return text


def bounded(value: Any, field: str) -> Any:
    """Return JSON that is built already, None for nothing. Raises RecordError as `kept_json` does."""
    return kept_json(_encode(value), field) if value is not None else None


def has_long_number(value: Any) -> bool:
    """Whether JSON holds a whole number of more than ``MAX_DIGITS`` digits."""
    if isinstance(value, dict):
        return any(map(has_long_number, value.values()))
    if isinstance(value, list):
        return any(map(has_long_number, value))
    return isinstance(value, int) and abs(value) >= _LONG


def address(text: str | None) -> str | None:
    """Return the client's IP address in ``text``, which may be a chain as of ``X-Forwarded-For``.

    Who of a chain is to be believed is what TRUSTED_PROXIES says. None where it holds no address.
    """
    return client_of(text or "", settings.TRUSTED_PROXIES)
