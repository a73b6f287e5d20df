"""The embedded engines after a death: theirs, their user's, their keeper's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
import redis
from kombu import Connection

from routescope import embedded
from routescope.embedded import home, keeper, place, running
from routescope.embedded.account import engine_account
from tests.embedded_state import MANAGE, another_user, ask, server_ids, state

__all__ = ["state"]


def test_engines_that_outlive_a_killed_user_are_used_again(state: Path) -> None:
    with another_user() as other:
        before = server_ids(state)
        other.kill()
        other.wait()
    assert server_ids(state) == before
    with embedded.engines(durable=False):
        assert server_ids(state) == before
    assert server_ids(state) == []


def test_a_terminated_command_stops_what_only_it_used(state: Path) -> None:
    wait = "print('up', flush=True); import time; time.sleep(60)"
    with subprocess.Popen(
        [*MANAGE, "shell", "--no-imports", "-c", wait], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "up\n"
        command.terminate()
    assert command.returncode == 128 + signal.SIGTERM
    assert server_ids(state) == []


@contextlib.contextmanager
def busy_backend() -> Iterator[None]:
    """A backend that computes and computes, and never looks whether its postmaster lives."""
    with psycopg.connect(embedded.database_url(), autocommit=True) as connection:
        busy = Thread(target=compute, args=(connection,))
        busy.start()
        assert running.wait(lambda: ask(f"SELECT count(*) FROM pg_stat_activity WHERE {BUSY}") == "1", 10)
        try:
            yield
        finally:
            if busy.is_alive():
                ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {BUSY}")
            busy.join(30)


BUSY = "state = 'active' AND query LIKE 'DO %'"


def compute(connection: psycopg.Connection) -> None:
    with contextlib.suppress(psycopg.OperationalError):  # Its end is the point.
        connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")


def answers() -> bool:
    """Say whether both engines take work."""
    try:
        ask("SELECT 1")
        return bool(redis.Redis(unix_socket_path=str(place.sockets(place.state()) / "redis.sock")).ping())
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("which", [0, 1], ids=["postgres", "valkey"])
def test_an_engine_that_is_killed_comes_back_by_itself_with_its_data(
    state: Path, which: int, number: signal.Signals
) -> None:
    said: list[str] = []
    with embedded.engines(say=lambda name, line: said.append(f"{name} {line}")):
        with psycopg.connect(embedded.database_url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        with Connection(embedded.redis_url()) as queue:
            queue.SimpleQueue("jobs").put({"job": 1})
        # A client that stays, as a web server's: whoever ends politely would wait for it for ever.
        with psycopg.connect(embedded.database_url()), busy_backend():
            killed = server_ids(state)[which]
            os.kill(killed, number)
            assert running.wait(lambda: killed not in server_ids(state), 10)
            assert running.wait(answers, 30)
        assert ask("SELECT number FROM kept") == "7"
        with Connection(embedded.redis_url()) as queue:
            assert queue.SimpleQueue("jobs").get(timeout=5).payload == {"job": 1}
        assert running.wait(lambda: len(said) == 2, 10), said
    name = ["postgres", "valkey"][which]
    assert said[0] == f"engines {name} is gone; starting it again"
    assert said[1].startswith(f"engines {name} runs again after")


def test_engines_end_by_themselves_after_their_only_user_was_killed(state: Path) -> None:
    with another_user() as other:
        started = server_ids(state)
        assert len(started) == 2
        other.kill()
        other.wait()
    assert running.wait(lambda: server_ids(state) == [], 30)
    with embedded.engines():
        assert ask("SELECT 1") == "1"


@pytest.mark.slow
def test_engines_of_a_killed_user_stay_while_another_uses_them(state: Path) -> None:
    with embedded.engines(durable=False), psycopg.connect(embedded.database_url()) as connection:
        with another_user() as other:
            other.kill()
            other.wait()
        # Longer than the engines stay without anybody.
        assert not running.wait(lambda: len(server_ids(state)) < 2, keeper._GRACE + 3)
        row = connection.execute("SELECT 1").fetchone()
        assert row == (1,)


def test_engines_of_a_killed_starter_are_looked_after_for_those_who_still_use_them(state: Path) -> None:
    with contextlib.ExitStack() as ours:
        with another_user() as other:
            ours.enter_context(embedded.engines(durable=False))
            other.kill()
            other.wait()
        killed = server_ids(state)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert running.wait(lambda: len(set(server_ids(state)) - set(killed)) == 2, 30)
        assert running.wait(answers, 30)


def test_a_keeper_that_is_killed_is_replaced(state: Path) -> None:
    said: list[str] = []
    with embedded.engines(durable=False, say=lambda name, line: said.append(line)):
        file = state / "locks" / "keeper"
        first = keeper._pid(file)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert running.wait(lambda: keeper._pid(file) not in {None, first}, 10)
        os.kill(server_ids(state)[1], signal.SIGKILL)
        assert running.wait(lambda: any("valkey runs again" in line for line in said), 30), said
        assert "are not looked after; starting their keeper again" in said


def test_nothing_stays_beside_the_engines(state: Path) -> None:
    with embedded.engines(durable=False):
        pid = keeper._pid(state / "locks" / "keeper")
        assert pid is not None
    assert not running.is_process(pid, "", "routescope.embedded")


def test_a_stale_pid_file_whose_id_is_in_use_again_does_not_stop_the_start(state: Path) -> None:
    with embedded.engines(durable=False):
        file = place.engine(state) / "postgres" / "postmaster.pid"
        recorded = file.read_text()
    owner = engine_account(place.engine(state))
    with subprocess.Popen(
        ["/bin/sleep", "60"],
        user=owner.uid if owner.dropped else None,
        group=owner.gid if owner.dropped else None,
    ) as unrelated:
        file.write_text(recorded.replace(recorded.split("\n")[0], str(unrelated.pid), 1))
        os.chown(file, owner.uid, owner.gid)
        with embedded.engines(durable=False):
            assert ask("SELECT 1") == "1"
        assert unrelated.poll() is None
        unrelated.kill()


def test_a_removed_socket_is_made_anew(state: Path) -> None:
    with embedded.engines(durable=False):
        (place.sockets(state) / ".s.PGSQL.5432").unlink()
        (place.sockets(state) / "redis.sock").unlink()
        with embedded.engines(durable=False):
            assert ask("SELECT 1") == "1"
            assert redis.Redis(unix_socket_path=str(place.sockets(state) / "redis.sock")).ping()


def test_half_made_data_of_an_interrupted_start_is_thrown_away(state: Path) -> None:
    half = home.prepare(state).made("postgres.new")
    (half / "PG_VERSION").write_text("18\n")
    with embedded.engines(durable=False):
        assert ask("SELECT 1") == "1"
    assert not half.exists()


def test_data_of_another_major_version_is_left_alone_and_named(state: Path) -> None:
    with embedded.engines(durable=False):
        pass
    version = place.engine(state) / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(embedded.EmbeddedError, match="made by PostgreSQL 16, this is 18"), embedded.engines():
        pass
    assert version.read_text() == "16\n"


def test_a_start_that_fails_says_what_the_log_says(state: Path) -> None:
    with embedded.engines(durable=False):
        pass
    (place.engine(state) / "postgres" / "local.conf").write_text("shared_buffers = 'many'\n")
    (place.engine(state) / "postgres" / "local.conf").chmod(0o644)
    with pytest.raises(embedded.EmbeddedError, match="shared_buffers"), embedded.engines(durable=False):
        pass
