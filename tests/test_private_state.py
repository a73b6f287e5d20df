"""The state folder holds a key, data and exports: nobody else on the machine looks into it."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from routescope.embedded import place, private, secret
from tests.embedded_state import running_state, shared

__all__ = ["running_state", "shared"]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Whom root lets through shows only as root.")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask(usual_umask: None) -> None:
    os.umask(0o000)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_whatever_makes_it_first_makes_it_private(
    tmp_path: Path, open_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    state = tmp_path / "deep" / "var"
    private.keep_private(state)
    private.folder(state / "locks")
    private.opened(state / "locks" / "use", "a+").close()
    assert secret.local_key(state)
    assert (mode(state), mode(state / "locks")) == (0o700, 0o700)
    assert (mode(state / "locks" / "use"), mode(state / "secret_key")) == (0o600, 0o600)


def test_one_that_stood_open_is_closed(tmp_path: Path) -> None:
    state, locks = tmp_path / "var", tmp_path / "var" / "locks"
    locks.mkdir(parents=True)
    (locks / "keeper.log").touch(mode=0o644)
    (state / "exports").mkdir()
    # The demo's book, of which a kill may leave the half that was being written.
    (state / "demo.json").touch()
    (state / "demo.json.new").touch()
    private.folder(locks)
    private.opened(locks / "keeper.log", "w").close()
    assert (mode(state), mode(locks), mode(locks / "keeper.log")) == (0o700, 0o700, 0o600)


def test_a_folder_that_others_use_too_stays_as_it_is_but_for_our_part(tmp_path: Path) -> None:
    """ROUTESCOPE_STATE=/srv, say."""
    (tmp_path / "somebody's").mkdir()
    before = mode(tmp_path)
    locks = private.folder(tmp_path / "locks")
    assert (mode(tmp_path), mode(locks)) == (before, 0o700)


@as_root
def test_the_engines_user_passes_through_and_sees_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "CHECKOUT", tmp_path)
    nobody = pwd.getpwnam("nobody")
    state = tmp_path / "var"
    private.keep_private(state)
    engine = place.engine(state)
    engine.mkdir(mode=0o700)
    os.chown(engine, nobody.pw_uid, nobody.pw_gid)
    private.keep_private(state)
    assert (mode(state), state.stat().st_gid) == (0o710, nobody.pw_gid)
    # So he does to what is in a state folder within this one, whatever is done with the outer one.
    inner = state / "test"
    private.keep_private(inner)
    engine.rename(place.engine(inner))
    state.chmod(0o700)
    private.keep_private(inner)
    private.keep_private(state)
    assert (mode(inner), mode(state)) == (0o710, 0o710)
    place.engine(inner).rename(engine)
    # One that is elsewhere needs no way through.
    engine.rmdir()
    engine.symlink_to(tmp_path)
    private.keep_private(state)
    assert mode(state) == 0o700


@as_root
def test_no_stranger_reads_anything_of_a_running_console(running_state: Path) -> None:
    tried = ["ls {0}", "cat {0}/secret_key", "ls {0}/locks", "cat {0}/locks/keeper.log", "ls {0}/engine/log"]
    for command in tried:
        done = subprocess.run(
            ["/bin/sh", "-c", command.format(running_state)],
            user=65_533,
            group=65_533,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
        assert done.returncode and "Permission denied" in done.stderr, command
    for path in (running_state / "locks").iterdir():
        assert mode(path) == 0o600, path
    assert mode(running_state) == 0o710 and mode(running_state / "locks") == 0o700
