"""How gunicorn serves the console, here and in a container: ``gunicorn -c routescope/gunicorn.py``."""

import gc
from pathlib import Path

from django.urls import get_resolver

from routescope import env

wsgi_app = "routescope.wsgi:application"

_host = env.text("HOST", "127.0.0.1")
bind = f"{f'[{_host}]' if ':' in _host else _host}:{env.integer('PORT', 8000)}"

# Requests wait for PostgreSQL more than they compute: threads serve many at once, processes use the cores.
worker_class = "gthread"
workers = env.integer("WEB_WORKERS", 2, minimum=1)
threads = env.integer("WEB_THREADS", 8, minimum=1)

# Loaded once and shared by the workers: half the time to start, and half the memory.
preload_app = True

# A gthread worker beats while its requests run: this ends a worker that hangs, not a slow request.
timeout = 60
graceful_timeout = 10
keepalive = 5

# The heartbeat's file must not wait for a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108

# Its default place is shared by every gunicorn of the user.
control_socket_disable = True

accesslog = "-" if env.flag("ACCESS_LOG", False) else None
errorlog = "-"
loglevel = "warning"


def when_ready(server: object) -> None:
    """Load the views too, which Django leaves to the first request: before the workers are made.

    What is loaded stays: the collector need not look at it again and again, nor write to its shared pages.
    """
    get_resolver().url_patterns  # noqa: B018
    gc.collect()
    gc.freeze()


def post_fork(server: object, worker: object) -> None:
    """Collect garbage less often: a batch of records makes ten thousand objects, none of them garbage yet."""
    gc.set_threshold(20_000, 20, 20)
