"""A process of the web server: gunicorn keeps it running, uvicorn speaks HTTP in it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from routescope.run.connections import Connections
from routescope.run.limits import ServerLimits
from routescope.run.log_lines import LogLines

_WAITING_FOR_ACCEPT = 2048


class Worker(UvicornWorker):  # type: ignore[misc]
    """What ``gunicorn.py`` names as its worker class."""

    def init_process(self) -> None:
        """Serve until a signal."""
        self.connections = Connections(ServerLimits.from_environment())
        config = self.config
        config.http = self.connections.protocol
        config.ws, config.lifespan, config.loop = "none", "on", "asyncio"
        config.proxy_headers = config.server_header = False
        config.timeout_graceful_shutdown = self.cfg.graceful_timeout - 1
        # A process that takes every connection there is leaves none to the others: one at a time.
        config.backlog = 1
        # A client that speaks no HTTP is told so; the log is for what goes wrong here.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        for handler in logging.getLogger("uvicorn.access").handlers:
            handler.setFormatter(LogLines("{message}", style="{"))
        super().init_process()

    def init_signals(self) -> None:
        """End in order, whether the signal comes before the server runs or is handed on after it did."""
        super().init_signals()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(self.config)
        self._install_sigquit_handler()
        watching = [
            asyncio.create_task(self.connections.watch()),
            asyncio.create_task(self._beat(server)),
        ]
        await server.serve([listener.sock for listener in self.sockets])
        for task in watching:
            task.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def _beat(self, server: Server) -> None:
        """Tell gunicorn that the loop turns; end where gunicorn is gone."""
        while not server.started:
            await asyncio.sleep(0.01)
        for listener in self.sockets:
            with suppress(OSError):  # It is closed: the server stops already.
                listener.sock.listen(_WAITING_FOR_ACCEPT)
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                server.should_exit = True
            await asyncio.sleep(1)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
