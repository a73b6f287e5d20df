"""Run all of Routescope: PostgreSQL, Valkey, web, worker and beat, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections
from django.utils import timezone

from accounts.people import first_admin
from accounts.people.first_admin import FirstAdminError
from routescope import embedded
from routescope.config import env, mail
from routescope.config.listening import AddressTakenError, ListenAddress
from routescope.data import version
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_USER_EMAIL, by_hand
from routescope.demo.loading import NOTICE
from routescope.embedded import place, private
from routescope.processes.output import Lines
from routescope.processes.supervisor import Service, ServiceFailedError, Supervisor
from routescope.run import statics
from routescope.run.jobs import Queue
from routescope.web import notices

# Celery says so at every start; an operator who runs as root knows.
_AS_ROOT = "ignore:You're running the worker with superuser privileges"

# make, timeout and container engines signal the process and its group: twice is one wish.
_SAME_SIGNAL = 1.0  # seconds


class _StoppedError(Exception):
    """A signal came before there was anything to stop in order."""


class Command(BaseCommand):
    help = "Run all of Routescope: PostgreSQL and Valkey where none is configured, web, worker and beat."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default=env.text("HOST", "127.0.0.1"), help="address to listen on")
        parser.add_argument("--port", type=int, default=env.integer("PORT", 8000), help="port to listen on")
        parser.add_argument(
            "--demo",
            action=argparse.BooleanOptionalAction,
            help="load demo people and records, and keep traffic coming; the passwords are public, hence by "
            "default only on the embedded database and for this machine alone",
        )

    is_new_demo = False

    def handle(self, *, host: str, port: int, demo: bool | None, **options: object) -> None:
        self.address = ListenAddress(host, port)
        nobody_else = self.address.is_local and settings.ONLY_THIS_MACHINE and not env.text("DATABASE_URL")
        self.demo = demo if demo is not None else nobody_else
        self.alone = self.address.is_local and settings.ONLY_THIS_MACHINE
        try:
            self.mail = mail.chosen(env.text("EMAIL_BACKEND"), only_this_machine=self.alone)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.run()

    def run(self) -> None:
        """Run everything until a signal. Raises CommandError with a sentence where that cannot be."""
        if self.demo and not self.alone:
            raise CommandError(by_hand.NOT_ALONE)
        self.lines = Lines(sys.stdout)
        signals = _Signals()
        try:
            with signals.caught(), _only_one(self.address) as crashed:
                self.address.claim(patience=20 if crashed else 0)
                self.lines.tell("Starting PostgreSQL and Valkey ...")
                with embedded.engines(say=self.lines.say):
                    self._prepare()
                    self._serve(signals)
                    self.lines.tell("Stopping PostgreSQL and Valkey ...")
        except (AddressTakenError, embedded.EmbeddedError, ServiceFailedError) as error:
            raise CommandError(str(error)) from error
        except _StoppedError:
            pass
        self.lines.tell("Stopped.")

    def _prepare(self) -> None:
        self.lines.tell("Preparing the database and the static files ...")
        # Beside the migrations, and not sooner: while engines start, root is another user.
        with ThreadPoolExecutor(1) as beside:
            collected = beside.submit(statics.collect)
            try:
                if trouble := version.trouble():
                    raise CommandError(trouble)
                call_command("migrate", interactive=False, verbosity=0)
                call_command("createcachetable", verbosity=0)
            except OperationalError as error:
                raise CommandError(f"The database cannot be used: {error}") from error
            if self.demo:
                self._make_demo_people()
            collected.result()
        if not self.demo and settings.PASSWORD_SIGN_IN:
            self._make_first_admin()

    def _make_demo_people(self) -> None:
        """Make who can sign in, and the gateway that the demo's services send as. Its records come later."""
        self.is_new_demo = by_hand.demo_gateway() is None
        by_hand.make_cast(timezone.now())
        if self.is_new_demo:
            # The first page is there before the service that goes on saying so.
            notices.show(NOTICE, 0)

    def _make_first_admin(self) -> None:
        """Make the first admin, and tell at once what nobody else knows: an end before that would lose it."""
        tell = self.lines.tell
        try:
            admin = first_admin.make(at_terminal=first_admin.is_terminal(), tell=tell)
        except FirstAdminError as error:
            raise CommandError(str(error)) from error
        if admin is not None and admin.password:
            tell("")
            tell("The first admin, shown this once:")
            tell(f"  e-mail    {admin.email}")
            tell(f"  password  {admin.password}")
            tell("")
        elif admin is not None:
            tell(f"The first admin is {admin.email}.")

    def _serve(self, signals: _Signals) -> None:
        needs_admin = not get_user_model()._default_manager.filter(is_superuser=True).exists()
        connections.close_all()
        supervisor = Supervisor(self._services(), self.lines.say, place.CHECKOUT)
        signals.hand_over(supervisor)
        try:
            supervisor.run(lambda: self._tell_ready(needs_admin=needs_admin))
        finally:
            supervisor.stop()

    def _services(self) -> list[Service]:
        celery = [sys.executable, "-m", "celery", "--app=routescope", "--quiet"]
        schedule = place.state() / "beat-schedule"
        loglevel = f"--loglevel={env.text('WORKER_LOG_LEVEL', 'WARNING').upper()}"
        environment = self._environment()
        web = Service(
            "web",
            [
                sys.executable,
                "-m",
                "gunicorn",
                "-c",
                str(place.CHECKOUT / "routescope" / "run" / "gunicorn.py"),
            ],
            environment,
            patience=15,
            ready=self.address.answers,
        )
        workers = [
            Service(
                name,
                [
                    *[*celery, "worker", loglevel, f"--queues={queue}", f"--hostname={name}@%h"],
                    *[f"--concurrency={processes}", "--without-gossip", "--without-mingle"],
                ],
                {**environment, "PYTHONWARNINGS": _AS_ROOT},
                patience=20,
            )
            for name, queue, processes in (
                ("worker", Queue.QUICK, env.integer("WORKER_PROCESSES", 2, minimum=1)),
                ("slow", Queue.SLOW, env.integer("SLOW_WORKER_PROCESSES", 2, minimum=1)),
            )
        ]
        background = [
            *workers,
            Service("beat", [*celery, "beat", loglevel, f"--schedule={schedule}"], environment),
        ]
        url = ["--url", self.address.url]
        demo = [
            self._manage("demo", "load_demo", *url, "--verbosity", "0"),
            self._manage("traffic", "demo_traffic", *url),
            self._manage("provider", "demo_provider", *url, "--port", str(self._provider_port)),
        ]
        return [web, *background, *(demo if self.demo else [])]

    @property
    def _provider_port(self) -> int:
        """Where the demo's tasks are done: the same port each time, since their results are links to it."""
        return self.address.port + 1 if self.address.port < 65535 else self.address.port - 1

    def _manage(self, name: str, *arguments: str) -> Service:
        manage = str(place.CHECKOUT / "manage.py")
        return Service(name, [sys.executable, manage, *arguments], self._environment(), finite=True)

    def _environment(self) -> dict[str, str]:
        """Return the children's environment. With the URLs set they start nothing embedded themselves."""
        chosen = {
            "DATABASE_URL": settings.DATABASE_URL,
            "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": settings.SECRET_KEY,
            "BASE_URL": env.text("BASE_URL", self.address.url),
            "HOST": self.address.host,
            "PORT": str(self.address.port),
            "PYTHONUNBUFFERED": "1",
        }
        if self.demo:
            provider = f"127.0.0.1:{self._provider_port}"
            chosen["OUTBOUND_ALLOWED"] = ",".join([*settings.OUTBOUND_ALLOWED, provider])
            chosen["DEMO_PROVIDER_URL"] = f"http://{provider}"
        if not env.text("ALLOWED_HOSTS") and not self.address.is_wildcard:
            chosen["ALLOWED_HOSTS"] = ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, self.address.host]))
        return {**os.environ, **chosen}

    def _tell_ready(self, *, needs_admin: bool) -> None:
        tell = self.lines.tell
        tell("")
        tell(f"Routescope is ready at {env.text('BASE_URL', self.address.url)}/")
        if self.demo:
            tell(f"  demo user   {DEMO_USER_EMAIL}  password {by_hand.DEMO_PASSWORD}")
            tell(f"  demo admin  {DEMO_ADMIN_EMAIL}  password {by_hand.DEMO_PASSWORD}")
            if self.is_new_demo:
                tell("  Its history comes in meanwhile: the pages say how far it is.")
        elif needs_admin:
            tell("  There is no admin yet: python manage.py createsuperuser")
        if self.address.is_wildcard and not env.text("ALLOWED_HOSTS"):
            tell("  Only this machine is served: set ALLOWED_HOSTS to the names that others call it by.")
        if self.mail in mail.SILENT:
            tell(f"  {mail.UNSENT}")
        tell("  Ctrl-C stops it.")
        tell("")


class _Signals:
    """What a signal to end does: unwind the preparation; later stop in order; a second time, at once."""

    def __init__(self) -> None:
        self._supervisor: Supervisor | None = None
        self._unwinding = False
        self._first = 0.0

    def hand_over(self, supervisor: Supervisor) -> None:
        """From here on a signal stops the supervisor."""
        self._supervisor = supervisor

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Handle the signals inside the block."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # As nohup leaves it.
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._supervisor is not None:
            if not self._supervisor.stopping.is_set():
                self._supervisor.stopping.set()
                self._first = time.monotonic()
            elif time.monotonic() - self._first > _SAME_SIGNAL:
                self._supervisor.hurry.set()
        elif not self._unwinding:
            self._unwinding = True
            raise _StoppedError


@contextlib.contextmanager
def _only_one(address: ListenAddress) -> Iterator[bool]:
    """Be the only one to run this state folder; yield whether the one before was killed.

    Raises CommandError with where the other one is.
    """
    file = place.state() / "locks" / "up"
    try:
        private.folder(file.parent)
        opened = private.opened(file, "a+")
    except OSError as error:
        raise CommandError(
            f"{file} cannot be opened ({error.strerror}): set ROUTESCOPE_STATE to a folder of yours."
        ) from error
    with opened as lock:
        lock.seek(0)
        noted = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"Routescope runs here already: {noted or 'it is starting'}.") from None
        lock.truncate(0)
        lock.write(f"{address.url}/, process {os.getpid()}")
        lock.flush()
        yield bool(noted)
        lock.truncate(0)
