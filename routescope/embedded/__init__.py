"""PostgreSQL and Valkey from wheels, for a machine that has neither: started where no URL names a real one.

State stands under ``var/`` of the checkout, or ``ROUTESCOPE_STATE``. Reading an address starts nothing;
``engines()`` and ``services_for()`` start what is needed and stop it after its last user.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from routescope.embedded import keeper, leases, place, postgres, programs, secret, signals, valkey
from routescope.embedded.errors import EmbeddedError
from routescope.processes.supervisor import Say

__all__ = [
    "EmbeddedError",
    "database_url",
    "engines",
    "local_secret_key",
    "redis_url",
    "services_for",
]

# Commands that never open the database. Everything else gets one: a command of ours or of a package may ask.
_WITHOUT_DATABASE = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "sendtestemail",
    "startapp",
    "startproject",
    "up",  # starts them itself, after it has looked whether it can run at all
    "version",
}


def database_url() -> str:
    """Return the URL of the embedded PostgreSQL, whether or not it runs."""
    return postgres.url(place.state())


def redis_url() -> str:
    """Return the Celery URL (``redis+socket://``) of the embedded Valkey, whether or not it runs."""
    return valkey.url(place.state())


def local_secret_key() -> str:
    """Return this checkout's own SECRET_KEY, made at first use and readable by its owner only.

    Raises ImproperlyConfigured where DATABASE_URL names a real database: its sessions and encrypted content
    must not hang on a file of one machine.
    """
    return secret.local_key(place.state())


@contextlib.contextmanager
def services_for(argv: Sequence[str]) -> Iterator[None]:
    """Hold the engines that this management command needs while it runs.

    Raises SystemExit with a sentence where they cannot be started. A SIGTERM or SIGHUP unwinds the command,
    so that engines which only it used are stopped.
    """
    if not _wants_database(argv):
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(signals.unwinding())
        try:
            stack.enter_context(engines())
        except EmbeddedError as error:
            raise SystemExit(f"{error}") from error
        if folder := programs.psql_folder():  # For dbshell, behind whatever psql the machine has.
            os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(folder)])
        yield


@contextlib.contextmanager
def engines(*, durable: bool = True, say: Say | None = None) -> Iterator[None]:
    """Hold PostgreSQL and Valkey up, each unless its URL is set; stop them when nobody else holds them.

    One that dies meanwhile comes back by itself, which is told to ``say``. After users that were killed, they
    end by themselves.
    ``durable=False`` trades safety against power loss for speed, for tests. Raises EmbeddedError.
    """
    database = postgres.Postgres(place.state(), durable=durable)
    broker = valkey.Valkey(place.state(), durable=durable)
    wanted: list[leases.Engine] = []
    if not _is_set("DATABASE_URL"):
        wanted.append(database)
    if not _is_set("REDIS_URL"):
        wanted.append(broker)
    if not wanted:
        yield
        return
    looking_after = keeper.Keeper(place.state(), durable=durable)
    with (
        leases.held(place.state(), wanted, [database, broker], looking_after),
        looking_after.watched(say) if say else contextlib.nullcontext(),
    ):
        yield


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _wants_database(argv: Sequence[str]) -> bool:
    command = argv[1] if len(argv) > 1 else "help"
    if command in {"-h", "--help", "--version"} or "--help" in argv or "-h" in argv:
        return False
    if command == "check":
        return any(word.startswith("--database") for word in argv)
    return command not in _WITHOUT_DATABASE
