"""Making the history in a second process while the first one stores it: both cores work."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import django
import msgspec

if TYPE_CHECKING:
    from logs.events import UsageEvent
    from routescope.demo.traffic import Traffic


def batches_ahead(traffic: Traffic, start: datetime, until: datetime) -> Iterator[list[UsageEvent]]:
    """Yield what `routescope.demo.history.batches` yields, made one batch ahead in another process.

    Raises RuntimeError if that process fails; it has said why on stderr.
    """
    from logs.events import UsageEvent

    decode = msgspec.msgpack.Decoder(list[UsageEvent]).decode
    # Not forked: the child must not inherit our database connection and the locks of the engines.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    facts = (traffic.begin, traffic.end, traffic.scale)
    process = context.Process(target=_make, args=(sender, facts, start, until), daemon=True)
    process.start()
    sender.close()
    try:
        while True:
            try:
                message = receiver.recv_bytes()
            except EOFError:
                break
            yield decode(message)
        process.join()
        if process.exitcode:
            raise RuntimeError(f"The process that makes the demo's records ended with {process.exitcode}.")
    finally:
        receiver.close()
        process.terminate()
        process.join()


def _make(
    sender: Connection, facts: tuple[datetime, datetime, float], start: datetime, until: datetime
) -> None:
    # Ctrl-C reaches the whole group; who reads from us decides, and we end when nobody does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    django.setup()
    from routescope.demo.history import batches
    from routescope.demo.traffic import Traffic

    encode = msgspec.msgpack.Encoder().encode
    try:
        for batch in batches(Traffic(*facts), start, until):
            sender.send_bytes(encode(batch))
    except BrokenPipeError:
        return
