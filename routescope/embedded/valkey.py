"""The embedded Valkey, which speaks Redis: Celery's queue, kept on disk, behind one private socket."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from routescope.embedded import place, programs, running
from routescope.embedded.errors import EmbeddedError
from routescope.embedded.home import Home, prepare

_LOG_LIMIT = 1024 * 1024  # bytes
_START_LIMIT = 60  # seconds; it reads its log of writes first


def url(state: Path) -> str:
    """Return the URL of the state folder's Valkey, as Celery reads it."""
    return f"redis+socket://{_socket(place.sockets(state))}"


class Valkey:
    """The Valkey of one state folder. Its methods are called under the start lock."""

    name = "valkey"

    def __init__(self, state: Path, *, durable: bool) -> None:
        self._state = state
        self._durable = durable
        self._socket = _socket(place.sockets(state))
        self._pidfile = place.engine(state) / "redis" / "redis.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def runs(self) -> bool:
        """Say whether it lives and has its socket; it may be reading its log of writes."""
        return self._pid() is not None and self._socket.exists()

    def ensure(self) -> None:
        """Start it, or find it running. Raises EmbeddedError with what its log says."""
        if self._pid():
            if running.wait(self._accepts, 2):
                return
            self.stop()  # Its socket was removed.
        home = prepare(self._state)
        program = programs.valkey(home.account)
        data = home.made("redis")
        log = home.made("log") / "redis.log"
        with home.account.acting():
            if log.exists() and log.stat().st_size > _LOG_LIMIT:
                log.replace(log.with_suffix(".log.1"))
            (data / "redis.pid").unlink(missing_ok=True)
        configuration = data / "redis.conf"
        home.write(configuration, _configuration(home, data, log, durable=self._durable))
        output = home.made("log") / "redis-start.log"
        process = self._process = home.account.spawn([program, configuration], output)
        running.wait(lambda: self._accepts() or process.poll() is not None, _START_LIMIT)
        if not self._accepts():
            process.kill()  # One that could not write its pid file would run on unknown, beside the next.
            process.wait()
            raise EmbeddedError(f"Valkey does not start. {home.read(output, log)}")

    def stop(self) -> None:
        """Stop it: cleanly, or after 10 s by force (it reads its log of writes at the next start)."""
        if not running.end(self._pid, ((signal.SIGTERM, 10), (signal.SIGKILL, 5)), self._process):
            raise EmbeddedError(f"Valkey (process {self._pid()}) does not stop.")

    def _pid(self) -> int | None:
        """Return the process ID of a living server of this state folder."""
        try:
            written = self._pidfile.read_text().strip()
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise EmbeddedError(
                f"{self._pidfile.parent} belongs to another user. Run as the user who first started it, "
                "or set ROUTESCOPE_STATE to a folder of yours."
            ) from error
        configuration = str(self._pidfile.with_name("redis.conf").resolve())
        pid = int(written) if written.isdigit() else 0
        return pid if pid and running.is_process(pid, "-server", configuration) else None

    def _accepts(self) -> bool:
        return self._pid() is not None and running.listens(self._socket)


def _socket(folder: Path) -> Path:
    return folder / "redis.sock"


def _configuration(home: Home, data: Path, log: Path, *, durable: bool) -> str:
    kept = "yes" if durable else "no"
    # Queued jobs are few and worth keeping: every write is logged, and reaches the disk within a second.
    return "\n".join(
        [
            "# Written anew at every start.",
            "port 0",
            f'unixsocket "{_escaped(home.sockets / "redis.sock")}"',
            "unixsocketperm 700",
            f'dir "{_escaped(data)}"',
            f"appendonly {kept}",
            "appendfsync everysec",
            'save ""',
            "daemonize no",
            "set-proc-title no",  # Leaves the configuration's path readable: whose server it is.
            f'pidfile "{_escaped(data / "redis.pid")}"',
            f'logfile "{_escaped(log)}"',
            "loglevel notice",
            "",
        ]
    )


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
