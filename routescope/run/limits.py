"""What the web server grants a client: seconds, bytes, connections and threads. From the environment."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Self

from routescope.config import env

MEBIBYTE = 1024 * 1024

_FILES_OF_OUR_OWN = 256
"""Descriptors beside connections: the database, bodies on disk, files on their way out."""


@dataclass(frozen=True)
class ServerLimits:
    """Of one process of the web server."""

    threads: int = 4
    """Of each kind of request: pages, what gateways send, the read API."""
    connections: int = 2000
    """Open at a time. One more closes the one that has waited longest without a request."""
    header_seconds: int = 10
    """From the connection, or the first byte of a later request, to the end of the headers."""
    idle_seconds: int = 15
    """A connection may stay open between two requests."""
    stall_seconds: int = 30
    """A body may make no progress, in either direction."""
    slowest: int = 8 * 1024
    """Bytes a second, on average, that a body must make past its first ``stall_seconds``."""
    longest_body_seconds: int = 600
    """A request's body may take in all."""
    header_bytes: int = 64 * 1024
    header_count: int = 100
    bodies: int = 256 * MEBIBYTE
    """Bytes of request bodies that are held at a time, in memory and on disk."""

    @classmethod
    def from_environment(cls) -> Self:
        """Raises ImproperlyConfigured for a value that cannot be used."""
        return cls(
            threads=env.integer("WEB_THREADS", cls.threads, minimum=1),
            connections=env.integer("WEB_CONNECTIONS", cls.connections, minimum=16),
            header_seconds=env.integer("WEB_HEADER_SECONDS", cls.header_seconds, minimum=1),
            stall_seconds=env.integer("WEB_STALL_SECONDS", cls.stall_seconds, minimum=1),
        )

    def body_deadline(self, started: float, progressed: float, count: int) -> float:
        """Return until when the next byte must come, of a body of which ``count`` bytes came.

        ``started`` and ``progressed`` are times of the same clock: of the start, and of the last byte.
        """
        whole = min(self.stall_seconds + count / self.slowest, self.longest_body_seconds)
        return min(progressed + self.stall_seconds, started + whole)

    def response_deadline(self, started: float, progressed: float, count: int) -> float:
        """Return until when a client must read on, of a response of which it read ``count`` bytes."""
        return min(progressed, started + count / self.slowest) + self.stall_seconds

    def make_room(self) -> int:
        """Raise the process's limit of open files for the connections; return how many may be open."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.connections + _FILES_OF_OUR_OWN
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft == resource.RLIM_INFINITY:
            return self.connections
        return max(16, min(self.connections, soft - _FILES_OF_OUR_OWN))
