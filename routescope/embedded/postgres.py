"""The embedded PostgreSQL: made once, tuned for the machine, reachable through one private socket.

It knows two roles: ``postgres``, whom nobody can sign in as, and ``routescope``, whom peer authentication
gives to the invoking user of the operating system and nobody else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from routescope.embedded import place, postgres_conf, programs, running
from routescope.embedded.account import invoker
from routescope.embedded.errors import EmbeddedError
from routescope.embedded.home import Home, prepare

NAME = "routescope"
PORT = 5432  # Only a part of the socket's name: nothing listens on the network.

_MAJOR = "18"
_START_LIMIT = 300  # seconds; recovery after a crash replays up to max_wal_size
_STOP_LIMIT = 20


def url(state: Path) -> str:
    """Return the URL of the state folder's database."""
    # Readers of URLs fold the host to lower case before they decode it, hence no letter is left bare.
    folder = "".join(f"%{byte:02x}" for byte in os.fsencode(place.sockets(state)))
    return f"postgresql://{NAME}@{folder}:{PORT}/{NAME}"


class Postgres:
    """The PostgreSQL of one state folder. Its methods are called under the start lock."""

    name = "postgres"

    def __init__(self, state: Path, *, durable: bool) -> None:
        self._state = state
        self._durable = durable
        self._data = place.engine(state) / "postgres"
        self._socket = place.sockets(state) / f".s.PGSQL.{PORT}"
        self._process: subprocess.Popen[bytes] | None = None

    def runs(self) -> bool:
        """Say whether its postmaster lives, does not stop, and has its socket; it may be recovering."""
        return self._pid() is not None and self._status() != "stopping" and self._socket.exists()

    def ensure(self) -> None:
        """Start it, or find it running. Raises EmbeddedError with what its log says."""
        if self._status() == "stopping":
            self.stop()  # Somebody's SIGTERM: it takes nobody in, and waits for its last client.
        # One that survived whoever started it may be recovering or stopping.
        running.wait(lambda: self._pid() is None or self._status() == "ready", _START_LIMIT)
        if self._pid() is not None:
            if running.listens(self._socket):
                return
            self.stop()  # Its socket was removed.
        home = prepare(self._state)
        bin_folder = programs.postgres(home.account)
        data = home.folder / "postgres"
        if not self._data.exists():
            _create(home, bin_folder, data, durable=self._durable)
        major = home.read(data / "PG_VERSION")
        if major != _MAJOR:
            raise EmbeddedError(
                f"{data} was made by PostgreSQL {major}, this is {_MAJOR}. Move it away to begin anew, or "
                f"carry it over with the older version's pg_dump."
            )
        home.write(data / "postgresql.conf", postgres_conf.settings(home, data, durable=self._durable))
        home.write(data / "pg_hba.conf", f"local all {NAME} peer map={NAME}\n")
        home.write(data / "pg_ident.conf", f"{NAME} {_quoted(invoker())} {NAME}\n")
        self._start(home, bin_folder, data)

    def stop(self) -> None:
        """Stop it: cleanly, or after 20 s at once (then it recovers at its next start)."""
        steps = ((signal.SIGINT, _STOP_LIMIT), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))
        if not running.end(self._pid, steps, self._process):
            raise EmbeddedError(f"PostgreSQL (process {self._pid()}) does not stop.")

    def _start(self, home: Home, bin_folder: Path, data: Path) -> None:
        log = home.made("log") / "postgres-start.log"
        # The pid file that a killed postmaster left may name a process that is another by now, and PostgreSQL
        # would take it for itself. The file must stay: it tells of backends that outlive their postmaster.
        # PostgreSQL takes no offence at its grandparent, so let it be that.
        stale = str(self._recorded() or os.getpid())
        for attempt in range(5):
            _end_orphans(home, data)
            process = self._process = home.account.spawn(
                [bin_folder / "postgres", "-D", data], log, PG_GRANDPARENT_PID=stale
            )
            running.wait(self._accepts_or_ended, _START_LIMIT)
            if self._accepts():
                return
            words = home.read(log)
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
                raise EmbeddedError(f"PostgreSQL is not ready after {_START_LIMIT} s. {words}")
            # Where processes cannot be told apart, the last backends hold the shared memory a moment longer.
            if "shared memory block" not in words or attempt == 4:
                raise EmbeddedError(f"PostgreSQL does not start. {words}")
            time.sleep(1)

    def _accepts_or_ended(self) -> bool:
        return self._accepts() or (self._process is not None and self._process.poll() is not None)

    def _pid(self) -> int | None:
        """Return the process ID of a living postmaster of this data folder."""
        pid = self._recorded()
        return pid if pid and running.is_process(pid, "postgres", str(self._data.resolve())) else None

    def _recorded(self) -> int | None:
        """Return the process ID in the pid file, whoever has it now."""
        try:
            first = (self._data / "postmaster.pid").read_text().partition("\n")[0].strip()
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise EmbeddedError(
                f"{self._data} belongs to another user. Run as the user who first started it, or set "
                "ROUTESCOPE_STATE to a folder of yours."
            ) from error
        return int(first) if first.isdigit() else None

    def _status(self) -> str:
        """Return the last line of the pid file: ``starting``, ``ready``, ``stopping``."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""

    def _accepts(self) -> bool:
        return self._pid() is not None and self._status() == "ready" and running.listens(self._socket)


def _end_orphans(home: Home, data: Path) -> None:
    """End the backends of a postmaster that was killed: a long query holds the shared memory until it ends.

    Call where no postmaster lives: nobody can reach them any more, and nothing they did is acknowledged.
    Every process of PostgreSQL works in its data folder, and nothing else does.
    """
    folder = data.resolve()

    def orphans() -> list[int]:
        with home.account.acting():
            return running.in_folder(folder)

    for number, limit in ((signal.SIGQUIT, 2), (signal.SIGKILL, 5)):
        for pid in orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if running.wait(lambda: not orphans(), limit):
            return


def _create(home: Home, bin_folder: Path, data: Path, *, durable: bool) -> None:
    """Make the data folder beside its place and put it there when it is whole."""
    draft = data.with_name("postgres.new")
    with home.account.acting():
        if draft.exists():
            shutil.rmtree(draft)
    home.account.run(
        [
            bin_folder / "initdb",
            f"--pgdata={draft}",
            "--username=postgres",
            "--auth=reject",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            *([] if durable else ["--no-sync", "--no-data-checksums"]),
        ]
    )
    home.account.run(
        [bin_folder / "postgres", "--single", "-D", draft, "-c", "exit_on_error=on", "postgres"],
        input=f"CREATE ROLE {NAME} LOGIN CREATEDB\nCREATE DATABASE {NAME} OWNER {NAME}\n",
    )
    with home.account.acting():
        draft.rename(data)


def _quoted(name: str) -> str:
    # A name that starts with a slash would be a regular expression, hence no bare words.
    return '"{}"'.format(name.replace('"', '""'))
