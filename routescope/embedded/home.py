"""Make the engines' folders, where whom they run as can reach them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from routescope.embedded import place, private
from routescope.embedded.account import Account, engine_account
from routescope.embedded.errors import EmbeddedError

# Where root keeps what the engines' account cannot reach in a closed checkout, such as one under /root.
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
        folder = self.folder / name
        with self.account.acting():
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def write(self, file: Path, text: str) -> None:
        """Give a file of the engines its content, whole or not at all; the same again needs no room."""
        draft = file.with_name(f".{file.name}.new")
        with self.account.acting():
            if file.is_file() and not file.is_symlink() and file.read_bytes() == text.encode():
                return
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
            draft.replace(file)

    def read(self, *files: Path) -> str:
        """Return the end of what the engines wrote into these files, where they exist."""
        with self.account.acting():
            words = "".join(file.read_text(errors="replace") for file in files if file.exists())
        return words.strip()[-2000:]


def prepare(state: Path) -> Home:
    """Return the engines' home, made if need be. Called under the start lock.

    Raises EmbeddedError where a folder belongs to somebody else or cannot be made.
    """
    try:
        private.keep_private(state)
        engine = place.engine(state)
        account = engine_account(engine)
        home = Home(account, _folder(state, engine, account), place.sockets(state))
        if home.sockets.parent == engine:
            return Home(account, home.folder, home.made(home.sockets.name))
        return Home(account, home.folder, _private(home.sockets, account))
    except OSError as error:
        where = error.filename or state
        raise EmbeddedError(
            f"{where}: {error.strerror}, so PostgreSQL cannot be kept there. Set ROUTESCOPE_STATE to a "
            "folder of yours, or DATABASE_URL and REDIS_URL to servers that run elsewhere."
        ) from error


def _folder(state: Path, engine: Path, account: Account) -> Path:
    if engine.is_symlink():
        target = engine.readlink()
        if not engine.is_dir():
            raise EmbeddedError(f"{engine} points to {target}, which is gone. Delete the link to begin anew.")
        if not _is_anothers(target, state):
            _note(target, state)
            return _private(engine.resolve(), account)
        engine.unlink()  # This checkout is a copy of one that still stands, whose data that is.
    existed = engine.exists()
    _private(engine, account)
    private.keep_private(state)  # Whoever owns it passes through.
    trial = ("/bin/sh", "-c", 'cd "$1" && : >probe && rm probe', "sh", engine)
    if not account.dropped or account.reaches(*trial):
        return engine
    if existed:
        raise EmbeddedError(f"User {account.name}, who owns the data in {engine}, cannot reach it any more.")
    engine.rmdir()
    return _elsewhere(state, engine, account)


def _elsewhere(state: Path, engine: Path, account: Account) -> Path:
    ours = open_folder(ELSEWHERE / place.digest(state))
    folder = _private(ours / "engine", account)
    _note(folder, state)
    engine.symlink_to(folder)
    private.keep_private(state)
    return folder


def open_folder(folder: Path) -> Path:
    """Return a folder of root's below ``ELSEWHERE``, made for all to enter, whatever the umask."""
    folder.mkdir(parents=True, exist_ok=True)
    for made in (folder, *folder.parents):
        if made.is_relative_to(ELSEWHERE) and made.lstat().st_uid == os.geteuid():
            made.chmod(0o755)
    return folder


def _note(folder: Path, state: Path) -> None:
    """Write down whose data it is, where the folder is of our making: other links are the user's own."""
    if folder.is_relative_to(ELSEWHERE):
        folder.with_name(_NOTE).write_text(f"{state}\n")


def _is_anothers(folder: Path, state: Path) -> bool:
    """Say whether the data belongs to another checkout that still stands; a moved one keeps its data."""
    note = folder.with_name(_NOTE)
    if not note.is_relative_to(ELSEWHERE) or not note.is_file():
        return False
    noted = Path(note.read_text().strip())
    engine = place.engine(noted)
    return noted != state and engine.is_symlink() and engine.readlink() == folder


def _private(folder: Path, account: Account) -> Path:
    """Return the folder, made private to the account. Raises EmbeddedError where it is somebody else's."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if account.dropped:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != account.uid:
        raise EmbeddedError(
            f"{folder} belongs to somebody else than user {account.name}. Run as its owner, remove it, "
            "or set ROUTESCOPE_STATE to a folder of yours."
        )
    if found.st_mode & 0o077:
        with account.acting():
            folder.chmod(0o700)
    return folder
