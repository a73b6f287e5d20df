"""Whom the engines run as. PostgreSQL refuses root, so there it is an account that exists already."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from routescope.embedded.errors import EmbeddedError

_SERVICE_ACCOUNTS = ("postgres", "nobody")


class Server(subprocess.Popen[bytes]):
    """A process that may outlive whoever started it, where others still use it."""

    def __del__(self) -> None:
        """Say nothing where it runs on: it is no forgotten child."""
        self.poll()


# Kept so that those which ended are collected when the next one starts, whoever ended them.
_begun: list[Server] = []


def begun(server: Server) -> Server:
    """Return a server that was just started; put away those that ended meanwhile."""
    _begun[:] = [*(one for one in _begun if one.poll() is None), server]
    return server


@dataclass(frozen=True)
class Account:
    """An operating system user; ``dropped`` where we are root and step down to it."""

    name: str
    uid: int
    gid: int
    dropped: bool

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Touch files as this user inside the block: its folders may hold links that root must not follow."""
        if not self.dropped:
            yield
            return
        groups, group = os.getgroups(), os.getegid()
        os.setgroups([])
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)

    def run(self, argv: Sequence[str | Path], *, limit: float = 60, input: str = "") -> str:
        """Run a program as this user and return what it prints.

        Nothing of the terminal or the environment reaches it: a Ctrl-C is ours to handle, and PG* or LC_*
        variables must not redirect it. Raises EmbeddedError with its last words.
        """
        name = Path(argv[0]).name
        with self._popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                output, _ = process.communicate(input.encode(), timeout=limit)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise EmbeddedError(f"{name} did not finish within {limit:.0f} s.") from error
            except BaseException:
                process.kill()
                raise
        words = output.decode(errors="replace")
        if process.returncode:
            raise EmbeddedError(f"{name} failed ({process.returncode}): {words.strip()[-2000:]}")
        return words

    def spawn(self, argv: Sequence[str | Path], log: Path, **environment: str) -> Server:
        """Start a server as this user; what it says before it opens its own log goes to a new ``log``."""
        with self.acting():
            log.unlink(missing_ok=True)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            process = self._popen(argv, stdin=subprocess.DEVNULL, stdout=descriptor, environment=environment)
        finally:
            os.close(descriptor)
        return begun(process)

    def _popen(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: int,
        stdout: int,
        environment: Mapping[str, str] | None = None,
    ) -> Server:
        try:
            return Server(
                [str(word) for word in argv],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **(environment or {})},
                start_new_session=True,
                umask=0o077,
                user=self.uid if self.dropped else None,
                group=self.gid if self.dropped else None,
                extra_groups=[] if self.dropped else None,
            )
        except OSError as error:
            raise EmbeddedError(
                f"{argv[0]} cannot be run as user {self.name}: {error.strerror}. Run as an ordinary user, or "
                "set DATABASE_URL and REDIS_URL."
            ) from error

    def reaches(self, *argv: str | Path) -> bool:
        """Say whether this user can execute the command and it succeeds."""
        try:
            self.run(argv)
        except EmbeddedError:
            return False
        return True


def invoker() -> str:
    """Return the name of the invoking user. Raises EmbeddedError for a user ID without a name."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EmbeddedError(
            f"User ID {uid} has no name on this system, and PostgreSQL refuses to run without one. "
            "Run as a named user, or set DATABASE_URL and REDIS_URL."
        ) from None


def engine_account(engine: Path) -> Account:
    """Return whom the engines run as: ourselves, or for root whoever owns their data, or a service account.

    Raises EmbeddedError where there is none.
    """
    name = invoker()
    if os.geteuid() != 0:
        return Account(name, os.geteuid(), os.getegid(), dropped=False)
    for candidate in (_owner(engine), *_SERVICE_ACCOUNTS):
        if candidate is None:
            continue
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, dropped=True)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as. "
        "Run as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )


def _owner(engine: Path) -> str | None:
    try:
        return pwd.getpwuid(engine.stat().st_uid).pw_name
    except (FileNotFoundError, KeyError):
        return None
