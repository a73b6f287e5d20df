"""Taking JSON bodies of records apart, one by one, and the bounds of a record's values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from django.conf import settings

from routescope.ids import EPOCH
from routescope.web.client_address import client_of

MAX_RECORDS = 10_000
MAX_ERROR_CHARACTERS = 8_000
MAX_JSON_BYTES = 64 * 1024
MAX_ID = 255
MAX_NAME = 200
MAX_TEXT = 1000
MAX_COUNT = 2**31 - 1
MONEY_PLACES = 12

_MAX_USD_DIGITS = 12
_PLACES = Decimal(1).scaleb(-MONEY_PLACES)
_LATEST = 10**11
"""Epoch seconds from here on are in the year 5138: surely milliseconds."""

_SPACE = re.compile(r"\s+")
_python_json = json.JSONDecoder()
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode


class FormatError(ValueError):
    """A body in which nothing can be decoded (``status`` 400), or that holds too much (413)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def split(body: bytes, most: int = MAX_RECORDS) -> list[bytes]:
    """Return the raw bytes of each record of a JSON array, of NDJSON, or of one JSON object.

    They are `sanitised`. Told apart by looking, as clients send NDJSON with ``Content-Type:
    application/json``. Raises FormatError where there is no record, or over ``most`` of them.
    """
    text = sanitised(body).removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise FormatError("The body is empty: send a JSON array, one JSON object, or one object per line.")
    if text[:1] == b"[":
        try:
            records = [bytes(raw) for raw in _decode_array(text)]
        except (msgspec.DecodeError, RecursionError) as error:
            try:
                records = _split_leniently(text)
            except (ValueError, RecursionError):
                raise FormatError(f"The array is not valid JSON: {error}.") from error
    elif text[:1] == b"{":
        try:
            records = [bytes(_decode_one(text))]
        except (msgspec.DecodeError, RecursionError):
            records = [line for line in text.splitlines() if line.strip()]
    else:
        raise FormatError("The body is neither a JSON array, nor a JSON object, nor one object per line.")
    if len(records) > most:
        raise FormatError(
            f"{len(records):,} records are too many for one request: send at most {most:,}.", 413
        )
    return records


def _split_leniently(text: bytes) -> list[bytes]:
    """Split an array that holds NaN or Infinity, which Python clients send and JSON does not know.

    The records without them are then kept. Raises ValueError where the array is broken or cut off.
    """
    array = text.decode()
    records = []
    at = 1
    while True:
        start = _skip_space(array, at)
        _, end = _python_json.raw_decode(array, start)
        records.append(array[start:end].encode())
        at = _skip_space(array, end) + 1
        if array[at - 1 : at] == "]" and at == len(array):
            return records
        if array[at - 1 : at] != ",":
            raise ValueError("The array does not go on, and does not end.")


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def sanitised(raw: bytes) -> bytes:
    r"""Replace the character that PostgreSQL cannot store, ``\u0000``, by U+FFFD rather than lose a
    record.
    """
    return raw.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in raw else raw


def readable(error: msgspec.ValidationError) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$.input_tokens`" into "input_tokens: expected ..."."""
    what, _, where = str(error).partition(" - at `$")
    field = where.rstrip("`").lstrip(".")
    what = what[:1].lower() + what[1:]
    return f"{field}: {what}" if field else what


def moment(value: str | float, field: str = "created_at") -> datetime:
    """Read an RFC 3339 time or epoch seconds as UTC. Raises ValueError naming ``field``."""
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{field}: {value[:50]!r} is not an RFC 3339 time such as 2025-01-31T09:30:00.123Z"
            ) from None
        if when.tzinfo is None:
            raise ValueError(f"{field}: {value[:50]!r} has no time zone; end it with Z or an offset")
        if when.tzinfo is not UTC:
            try:
                when = when.astimezone(UTC)
            except OverflowError:
                raise ValueError(f"{field}: {value[:50]!r} is out of range") from None
    elif abs(value) >= _LATEST:
        raise ValueError(f"{field}: {value:.0f} looks like milliseconds; send epoch seconds")
    else:
        when = EPOCH + timedelta(microseconds=round(value * 1_000_000))
    if when < EPOCH:
        raise ValueError(f"{field}: lies before 1970")
    return when


def amount(value: Decimal | None) -> Decimal | None:
    """Return USD to the places that are stored. Raises ValueError for what is no amount."""
    if value is None:
        return None
    # By its exponent: comparing 1E+4000000 overflows.
    if not value.is_finite() or value.adjusted() >= _MAX_USD_DIGITS:
        raise ValueError("cost: not an amount of US dollars")
    return value.quantize(_PLACES)


def shortened(message: str) -> str:
    """Bound an error's text; say how much was cut."""
    if len(message) <= MAX_ERROR_CHARACTERS:
        return message
    return f"{message[:MAX_ERROR_CHARACTERS]}… [{len(message) - MAX_ERROR_CHARACTERS:,} characters cut]"


def bounded(value: Any, field: str) -> Any:
    """Return ``value``, None if it is empty. Raises ValueError over ``MAX_JSON_BYTES`` of JSON."""
    if value is None or value in ({}, []):
        return None
    size = len(msgspec.json.encode(value))
    if size > MAX_JSON_BYTES:
        raise ValueError(f"{field}: {size:,} bytes of JSON are more than {MAX_JSON_BYTES:,}; send less of it")
    return value


def address(text: str | None) -> str | None:
    """Return the client's IP address in ``text``, which may be a chain as of ``X-Forwarded-For``.

    Who of a chain is to be believed is what TRUSTED_PROXIES says. None where it holds no address.
    """
    return client_of(text or "", settings.TRUSTED_PROXIES)
