"""A small disk, filled beside the console and by it: what is refused, and whether it goes on by itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

from routescope.embedded import place
from routescope.embedded.disk import MB, Disk
from tests.chaos_console import Console, Load, Person, batch, say, send, until

PATIENCE = 240.0


def run(console: Console, load: Load, between: float, limit: float, faults: list[str]) -> None:
    """Fill the disk, twice: at once by another's file, and slowly by records. Make room each time."""
    until(lambda: len(load.acknowledged) > 20 and load.pages["200"] > 5, PATIENCE)
    _tell(console, load, "before")
    for what, left in (("filled to the last byte by another's file", 0), ("filled by records", None)):
        filler = console.state / "filler"
        disk = Disk.of(console.state)
        _fill(filler, disk.free - (disk.kept + 24 * MB) if left is None else disk.free)
        refused = until(lambda: _is_refused(console), PATIENCE)
        say(f"{what}: " + (f"refused after {refused:.1f} s" if refused is not None else "never refused"))
        if refused is None:
            faults.append(f"{what}, records were not refused")
        _tell(console, load, "full")
        acknowledged = len(load.acknowledged)
        person = Person(console)
        pages = []
        for _ in range(2 + round(between * 2)):
            pages.append(person.read("/records/usage/"))
            time.sleep(0.5)
        say(f"    meanwhile a person who signs in and reads: {pages}")
        if pages[-1] != "200":
            faults.append(f"{what}, pages did not answer")
        if left == 0 and len(load.acknowledged) > acknowledged + 5:
            faults.append(f"{what}, records were still taken in")
        filler.unlink()
        took = until(
            lambda: send(console, batch(f"probe-{time.time_ns()}", time.time_ns() % 10**8))[0] == "200",
            PATIENCE,
        )
        if took is None or took > limit:
            faults.append(f"{what} and freed, it did not go on within {limit:.0f} s")
        say(
            "    freed: "
            + (f"records are taken in after {took:.1f} s" if took is not None else "still refused")
        )
        time.sleep(between)
        _tell(console, load, "after")
    panics = _panics(console)
    say(f"panics of PostgreSQL: {panics}")
    if panics:
        faults.append(f"{panics} panics of PostgreSQL")


def _is_refused(console: Console) -> bool:
    status, answer = _probe(console)
    return status in {"503", "507"} and bool(answer["retry_after"]) and "disk" in str(answer["body"])


def _probe(console: Console) -> tuple[str, dict[str, object]]:
    number = time.time_ns() // 1_000_000 % 10**9
    return send(console, batch(f"probe-{number}", number))


def _fill(file: Path, size: int) -> None:
    """Write a file of so many bytes, or of as many as there are."""
    with file.open("wb") as out:
        try:
            for _ in range(size // MB + (1 if size % MB else 0)):
                out.write(os.urandom(MB))
                out.flush()
        except OSError as error:
            say(f"    the filler ends with: {error.strerror}")


def _tell(console: Console, load: Load, when: str) -> None:
    disk = Disk.of(console.state)
    wal = sum(
        file.stat().st_size for file in (place.engine(console.state) / "postgres" / "pg_wal").glob("0*")
    )
    say(
        f"    {when}: {disk.free // MB} of {disk.size // MB} MB free, log of changes {wal // MB} MB,"
        f" {len(load.acknowledged)} batches acknowledged; answers {dict(load.answers)}"
    )


def _panics(console: Console) -> int:
    logs = place.engine(console.state) / "log"
    return sum(file.read_text(errors="replace").count("PANIC") for file in logs.glob("postgres*"))
