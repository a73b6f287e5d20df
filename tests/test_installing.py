"""What `make` installs, and with which Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from routescope.embedded import place

make = pytest.mark.skipif(shutil.which("make") is None, reason="There is no make here.")


def chosen(folder: Path) -> str:
    """Return the Python that make takes where these programs are all there are."""
    told = subprocess.run(
        [
            "make",
            "-C",
            place.CHECKOUT,
            "--eval",
            "told: ; $(info $(PYTHON))",
            "--no-print-directory",
            "told",
        ],
        env={"PATH": str(folder)},
        executable=shutil.which("make"),
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.splitlines()[0]


def a_python(file: Path, *version: int) -> None:
    """Make a Python that calls itself of another version."""
    line = f"import sys; sys.version_info = {version!r}; exec(sys.argv[2])"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{line}" "$@"\n')
    file.chmod(0o755)


@make
@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_make_takes_every_supported_python(tmp_path: Path, minor: int) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    a_python(tmp_path / "python3", 3, minor)
    a_python(tmp_path / "python3.11", 3, 11)
    assert chosen(tmp_path) == "python3"


@make
def test_make_looks_further_where_python3_is_too_old(tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    a_python(tmp_path / "python3", 3, 9)
    a_python(tmp_path / "python3.14", 3, 14)
    assert chosen(tmp_path) == "python3.14"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_no_package_index(name: str) -> None:
    lock = (place.CHECKOUT / name).read_text()
    assert "://" not in lock
    assert "--index-url" not in lock
