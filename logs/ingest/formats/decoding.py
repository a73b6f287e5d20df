"""Decoding a batch record by record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from logs.models.events import Batch, Rejection, UsageEvent
from routescope.wire.json_parts import BrokenError, Steps, members
from routescope.wire.reading import FormatError, RecordError, is_utf8, mended, readable, with_whole_numbers

logger = logging.getLogger(__name__)

_Read = TypeVar("_Read")
_decode_text = msgspec.json.Decoder(str).decode


def decode_each(records: Iterable[bytes], read: Callable[[bytes], UsageEvent | None], name: bytes) -> Batch:
    """Decode records one by one, so that a bad one costs no other.

    ``read`` returns None for what is no call, and raises RecordError, or what msgspec raises, saying what to
    mend; ``name`` is the field that holds a record's ID. Whatever else it raises is a fault of ours: logged,
    and counted in the batch, which is then to be sent again. Raises FormatError where no record is JSON at
    all.
    """
    batch = Batch(events=[], rejected=[])
    undecodable = 0
    for index, raw in enumerate(records):
        try:
            event = mending(raw, read)
            if event is None:
                batch.ignored += 1
            else:
                batch.events.append((index, event))
        except msgspec.ValidationError as error:
            batch.rejected.append(Rejection(index=index, request_id=named(raw, name), error=readable(error)))
        except (msgspec.DecodeError, BrokenError, UnicodeDecodeError, RecursionError) as error:
            undecodable += 1
            reason = f"not valid JSON: {error}"
            batch.rejected.append(Rejection(index=index, request_id=named(raw, name), error=reason))
        except RecordError as error:
            batch.rejected.append(Rejection(index=index, request_id=named(raw, name), error=str(error)))
        except Exception:
            logger.exception(
                "Record %d (%s) could not be read through a fault of ours", index, named(raw, name)
            )
            batch.faults += 1
    if batch.rejected and undecodable == len(batch.rejected) and not batch.events and not batch.faults:
        raise FormatError(f"No record can be decoded: {batch.rejected[0].error}.")
    return batch


def mending(raw: bytes, read: Callable[[bytes], _Read]) -> _Read:
    """Read a record; one with broken characters, with U+FFFD in their place. Raises what ``read`` does.

    Where a whole number is expected, ``10.0`` is one.
    """
    # What a decoder skips or keeps as it is, it does not check for UTF-8.
    whole = raw if is_utf8(raw) else mended(raw)
    try:
        return read(whole)
    except msgspec.ValidationError:
        better = with_whole_numbers(whole)
        if better == whole:
            raise
        return read(better)
    except msgspec.DecodeError:
        better = mended(raw)
        if better == whole:
            raise
        return read(better)


def named(raw: bytes, name: bytes) -> str | None:
    """Return the text of one field of a record that may be broken anywhere behind it."""
    try:
        for found, value in members(raw, Steps(10_000)):
            if found == name:
                return _decode_text(mended(value))
    except (BrokenError, msgspec.DecodeError):
        pass
    return None
