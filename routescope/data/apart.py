"""What a long transaction needs is made before it, and committed on its own.

A name seen for the first time locks its user's row, a partition the default partition: made inside a
transaction that goes on for seconds, they would hold up whoever saves a profile or reads the table. So such a
transaction is broken off where something is missing, that is made, and the transaction begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from django.db import connection, transaction

_MOST = 10
"""Times that a transaction is begun anew: more than there are kinds of things to make."""
_apart: ContextVar[bool] = ContextVar("what is missing is made apart", default=False)
_Result = TypeVar("_Result")


class NotThereError(Exception):
    """Something that the transaction needs is missing: ``make`` makes it, outside of the transaction."""

    def __init__(self, make: Callable[[], object]) -> None:
        super().__init__("To be made before the transaction.")
        self.make = make


def must_be_there(make: Callable[[], object]) -> None:
    """Say that something is missing that ``make`` makes. Raises NotThereError inside of ``together``.

    ``make`` may be called although somebody else made it meanwhile. Elsewhere the caller makes it at once.
    """
    if _apart.get():
        raise NotThereError(make)


def is_apart() -> bool:
    """Say whether what is missing is made apart: whatever is found here then, others have committed."""
    return _apart.get()


def together(work: Callable[[], _Result]) -> _Result:
    """Do the work in one transaction, after what it finds missing has been made.

    The work may be begun several times: it must change nothing but the database. Inside a transaction that is
    already open nothing can be committed before it, and everything is made there.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            return work()
    for _ in range(_MOST):
        token = _apart.set(True)
        try:
            with transaction.atomic():
                return work()
        except NotThereError as missing:
            make = missing.make
        finally:
            _apart.reset(token)
        make()
    raise RuntimeError("What a transaction needs went missing again and again.")
