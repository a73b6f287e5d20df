"""Storing the history in two processes, every other day in each: both cores work."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import datetime
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from accounts.models import Gateway
    from routescope.demo.days import Tally
    from routescope.demo.traffic import Traffic


def store_in_two(gateway: Gateway, traffic: Traffic, start: datetime, until: datetime) -> Tally:
    """Store what `routescope.demo.days.store_days` would, half of it in another process.

    Raises RuntimeError if that process fails; it has said why on stderr.
    """
    from django.db import connection

    from routescope.demo.days import store_days

    # Not forked: the child must inherit neither our database connection nor the locks of the engines.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    facts = (traffic.begin, traffic.end, traffic.scale)
    name = str(connection.settings_dict["NAME"])
    arguments = (sender, name, gateway.pk, facts, start, until)
    process = context.Process(target=_store_half, args=arguments, daemon=True)
    process.start()
    sender.close()
    try:
        tally = store_days(gateway, traffic, start, until, share=0, of=2)
        try:
            return tally.plus(receiver.recv())
        except EOFError:
            raise RuntimeError("The process that stores the other half of the demo has failed.") from None
    finally:
        process.terminate()
        process.join()
        receiver.close()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _store_half(
    sender: Connection,
    database: str,
    gateway_id: int,
    facts: tuple[datetime, datetime, float],
    start: datetime,
    until: datetime,
) -> None:
    # Ctrl-C reaches the whole group; our parent decides, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    django.setup()
    from django.db import connection

    from accounts.models import Gateway
    from routescope.demo.days import store_days
    from routescope.demo.traffic import Traffic

    connection.settings_dict["NAME"] = database
    gateway = Gateway.objects.get(pk=gateway_id)
    sender.send(store_days(gateway, Traffic(*facts), start, until, share=1, of=2))
    connection.close()
