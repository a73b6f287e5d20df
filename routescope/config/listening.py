"""The address that the console listens on: whether it is free, whether it answers, what people call it."""

from __future__ import annotations

import errno
import http.client
import ipaddress
import socket
import time
from dataclasses import dataclass

from routescope.config import env

_ASKED = "/readyz"


class AddressTakenError(RuntimeError):
    """Nothing can listen there; the message says why."""


def is_this_machine(name: str | None) -> bool:
    """Say whether only this machine is reached under a host name or address, with or without brackets."""
    if name in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address((name or "").strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class ListenAddress:
    """A host and a TCP port to listen on."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_this_machine(self.host)

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every address of the machine."""
        return self.host in {"", "0.0.0.0", "::"}  # noqa: S104

    @property
    def reached_by(self) -> str:
        """The host by which this machine reaches it."""
        if not self.is_wildcard:
            return self.host
        return "::1" if ":" in self.host else "127.0.0.1"

    @property
    def url(self) -> str:
        """The URL by which this machine reaches it, without a slash at the end."""
        host = self.reached_by
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def claim(self, *, patience: float) -> None:
        """See that nobody listens there, waiting so many seconds for whoever does to end.

        Raises AddressTakenError.
        """
        deadline = time.monotonic() + patience
        while (trouble := self._trouble()) is not None:
            if time.monotonic() > deadline:
                raise AddressTakenError(trouble)
            time.sleep(0.1)

    def answers(self) -> bool:
        """Say whether the console answers there and can do its work: it says so itself."""
        connection = http.client.HTTPConnection(self.reached_by, self.port, timeout=3)
        try:
            connection.request("GET", _ASKED)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _trouble(self) -> str | None:
        if not 0 < self.port < 65536:
            return f"{self.port} is no port: choose one from 1 to 65535."
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(
                self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except socket.gaierror as error:
            return f"{self.host}:{self.port} is no address of this machine ({error})."
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                if isinstance(error, PermissionError):
                    return f"Port {self.port} needs privileges; choose one above 1023 with --port."
                if error.errno == errno.EADDRINUSE:
                    return f"Port {self.port} is in use by another program; choose another with --port."
                return f"Nothing can listen on {self.host}:{self.port} ({error.strerror})."
        return None


def main() -> None:
    """Exit with status 0 where the console is ready at PORT of this machine: a container's health check."""
    raise SystemExit(0 if ListenAddress("127.0.0.1", env.integer("PORT", 8000)).answers() else 1)


if __name__ == "__main__":
    main()
