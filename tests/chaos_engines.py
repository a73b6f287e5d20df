"""Everything that ``manage.py up`` runs, killed in turn under load; or its disk, filled and freed.

``python -m tests.chaos_engines`` kills PostgreSQL's postmaster, Valkey, the web server, the worker and
beat with SIGKILL, and then ``up`` itself. ``--disk`` runs on a small file system instead (a loop-mounted ext4
image of ``--megabytes``, which needs root; ``--disk=FOLDER`` takes one that is mounted there). Prints
figures; exits with 1 where something is not back in time, an acknowledged record is lost or doubled, a sum
is wrong, or the logs hold a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import chaos_disk, chaos_kills
from tests.chaos_console import Console, Load, check, say


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8130)
    parser.add_argument("--limit", type=float, default=10, help="seconds within which each must be back")
    parser.add_argument("--senders", type=int, default=3, help="gateways that send at once")
    parser.add_argument("--readers", type=int, default=2, help="people who read pages at once")
    parser.add_argument("--between", type=float, default=5, help="seconds of load between two faults")
    parser.add_argument("--disk", nargs="?", const="", help="fill a small file system instead of killing")
    parser.add_argument("--megabytes", type=int, default=400, help="size of the file system that is made")
    options = parser.parse_args()
    with _state(options.disk, options.megabytes) as state:
        os.environ["ROUTESCOPE_STATE"] = str(state)
        os.environ["DJANGO_SETTINGS_MODULE"] = "routescope.settings"
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            os.environ.pop(name, None)
        import django

        django.setup()
        faults: list[str] = []
        with Console(state, options.port) as console:
            load = Load(console, options.senders, options.readers)
            try:
                if options.disk is None:
                    chaos_kills.run(console, load, options.between, options.limit, faults)
                else:
                    chaos_disk.run(console, load, options.between, options.limit, faults)
            finally:
                load.end()
            if options.disk is None:
                chaos_kills.orphan(console, options.limit, faults)
        faults += load.report()
        faults += console.report()
        faults += check(load)
    say("good" if not faults else "NOT GOOD: " + "; ".join(faults))
    return 1 if faults else 0


@contextlib.contextmanager
def _state(disk: str | None, megabytes: int) -> Iterator[Path]:
    """Yield a state folder of this run's own, on the disk that is asked for."""
    with contextlib.ExitStack() as stack:
        parent = None
        if disk:
            parent = Path(disk)
        elif disk == "":
            parent = stack.enter_context(_small_disk(megabytes))
        folder = Path(tempfile.mkdtemp(prefix="rs-chaos-", dir=parent))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextlib.contextmanager
def _small_disk(megabytes: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rs-disk-", dir="/tmp") as folder:
        image, mounted = Path(folder, "image"), Path(folder, "mounted")
        Path(folder).chmod(0o755)
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes * 1024 * 1024)
        _command("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        _command("mount", "-o", "loop", str(image), str(mounted))
        try:
            yield mounted
        finally:
            _command("umount", str(mounted))


def _command(*words: str) -> None:
    subprocess.run(words, check=True)


if __name__ == "__main__":
    sys.exit(main())
