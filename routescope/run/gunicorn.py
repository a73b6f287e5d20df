"""How the console is served, here and in a container: ``gunicorn -c routescope/run/gunicorn.py``.

gunicorn keeps the processes running. What runs in them is in ``routescope/run/``.
"""

import gc
import logging
from pathlib import Path

from django.conf import settings
from django.urls import get_resolver

from routescope.config import env, mail
from routescope.run.health import load_migrations
from routescope.run.limits import ServerLimits

wsgi_app = "routescope.run.front:application"

_host = env.text("HOST", "127.0.0.1")
bind = f"{f'[{_host}]' if ':' in _host else _host}:{env.integer('PORT', 8000)}"

worker_class = "routescope.run.worker.Worker"
workers = env.integer("WEB_WORKERS", 2, minimum=1)
ServerLimits.from_environment()  # A value that cannot be used stops the start, with a sentence.

# Loaded once and shared by the workers: half the time to start, and half the memory.
preload_app = True

# A process beats while its requests run: this ends one that hangs, not a slow request.
timeout = 60
graceful_timeout = 10

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
    if settings.EMAIL_BACKEND in mail.SILENT:
        logging.getLogger(mail.__name__).warning(mail.UNSENT)
    get_resolver().url_patterns  # noqa: B018
    load_migrations()
    gc.collect()
    gc.freeze()


def post_fork(server: object, worker: object) -> None:
    """Collect garbage less often: a batch of records makes ten thousand objects, none of them garbage yet."""
    gc.set_threshold(20_000, 20, 20)
