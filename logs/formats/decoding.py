"""Decoding a batch record by record."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from logs.events import Batch, Rejection, UsageEvent
from routescope.reading import FormatError, readable


def decode_each(
    records: Iterable[bytes], read: Callable[[bytes], UsageEvent], name: Callable[[bytes], str | None]
) -> Batch:
    """Decode records one by one, so that a bad one costs no other.

    ``read`` raises ValueError (and msgspec's kinds of it) saying what to mend; ``name`` finds the request ID
    of a record that cannot be read. Raises FormatError where no record is JSON at all.
    """
    events: list[tuple[int, UsageEvent]] = []
    rejected: list[Rejection] = []
    undecodable = 0
    for index, raw in enumerate(records):
        try:
            events.append((index, read(raw)))
        except msgspec.ValidationError as error:
            rejected.append(Rejection(index=index, request_id=name(raw), error=readable(error)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            undecodable += 1
            rejected.append(Rejection(index=index, request_id=None, error=f"not valid JSON: {error}"))
        except ValueError as error:
            rejected.append(Rejection(index=index, request_id=name(raw), error=str(error)))
    if rejected and undecodable == len(rejected) and not events:
        raise FormatError(f"No record can be decoded: {rejected[0].error}.")
    return Batch(events=events, rejected=rejected)
