"""Make the engines' folders, where whom they run as can reach them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from routescope.embedded import place
from routescope.embedded.account import Account, engine_account
from routescope.embedded.errors import EmbeddedError

# Where root's data goes when the checkout is closed to the engines' account, as /root is.
ELSEWHERE = Path("/var/lib/routescope")

_NOTE = "checkout"


@dataclass(frozen=True)
class Home:
    """The engines' folders, free of symlinks, and the account that owns them."""

    account: Account
    folder: Path
    sockets: Path

    def made(self, name: str) -> Path:
        """Return a folder of the engines, made if need be."""
        return _made(self.folder / name, self.account)

    def write(self, file: Path, text: str) -> None:
        """Give a file of the engines its content, whole or not at all."""
        draft = file.with_name(f".{file.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        self.account.own(draft)
        draft.replace(file)


def prepare(state: Path) -> Home:
    """Return the engines' home, made if need be. Called under the start lock.

    Raises EmbeddedError where a folder belongs to somebody else or cannot be made.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        engine = place.engine(state)
        account = engine_account(engine)
        folder = _folder(state, engine, account)
        sockets = place.sockets(state)
        if sockets.parent == engine:
            sockets = folder / sockets.name
        return Home(account, folder, _made(sockets, account))
    except OSError as error:
        raise EmbeddedError(
            f"{error.filename or state}: {error.strerror}, so nothing can be kept there."
        ) from error


def _folder(state: Path, engine: Path, account: Account) -> Path:
    if engine.is_symlink() and not engine.is_dir():
        raise EmbeddedError(
            f"{engine} points to {engine.readlink()}, which is gone. Delete the link to begin anew."
        )
    if engine.is_symlink() and account.dropped and _is_anothers(engine.resolve(), state):
        engine.unlink()  # A copy of another checkout: its data stays with that one.
    if engine.exists():
        return _made(engine.resolve(), account)
    _made(engine, account)
    if not account.dropped or account.reaches(
        "/bin/sh", "-c", 'cd "$1" && : >probe && rm probe', "sh", engine
    ):
        return engine
    engine.rmdir()
    return _elsewhere(state, engine, account)


def _elsewhere(state: Path, engine: Path, account: Account) -> Path:
    ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder = ELSEWHERE / place.digest(state)
    _made(folder, account)
    (folder / _NOTE).write_text(f"{state}\n")
    engine.symlink_to(folder)
    return folder


def _is_anothers(folder: Path, state: Path) -> bool:
    """Say whether the data belongs to another checkout that still stands; a moved one keeps its data."""
    note = folder / _NOTE
    if not note.is_file():
        return False
    noted = Path(note.read_text().strip())
    return noted != state and place.engine(noted).resolve() == folder


def _made(folder: Path, account: Account) -> Path:
    """Return the folder, made private to the account. Raises EmbeddedError where it is somebody else's."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        account.own(folder)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != account.uid:
        raise EmbeddedError(
            f"{folder} belongs to somebody else than user {account.name}. Run as its owner, remove it, "
            "or set ROUTESCOPE_STATE to a folder of yours."
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
