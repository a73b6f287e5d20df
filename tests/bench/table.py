"""Works measured side by side, and the table of what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line: milliseconds of the peer and of ours, what was aimed at, and whether it holds."""

    work: str
    peer: float | None
    ours: float
    unit: str
    target: str
    holds: bool

    @property
    def ratio(self) -> float | None:
        return self.peer / self.ours if self.peer is not None and self.ours else None


def measured(works: dict[str, Work], repeats: int = 7) -> dict[str, float]:
    """Return the median milliseconds of each work, run in turns so that noise meets all alike."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            started = perf_counter()
            work()
            times[name].append((perf_counter() - started) * 1000)
    return {name: median(found) for name, found in times.items()}


def faster(work: str, peer: Work, ours: Work, times: float, repeats: int = 7) -> Row:
    """Measure ours against the peer's; it should be so many times faster."""
    found = measured({"peer": peer, "ours": ours}, repeats)
    return Row(
        work, found["peer"], found["ours"], "ms", f"{times:g}x", found["peer"] >= times * found["ours"]
    )


def in_turns(works: Sequence[Work], repeats: int = 9) -> list[float]:
    """Return the median milliseconds of works, run in turns."""
    found = measured({str(number): work for number, work in enumerate(works)}, repeats)
    return [found[str(number)] for number in range(len(works))]


def within(work: str, ours: Work, most: float, repeats: int = 7) -> Row:
    """Measure ours against a bound in milliseconds."""
    found = measured({"ours": ours}, repeats)["ours"]
    return Row(work, None, found, "ms", f"< {most:g} ms", found < most)


def rendered(rows: list[Row]) -> str:
    """Return the table in Markdown."""
    lines = ["| work | peer | ours | ratio | target | holds |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        peer = "" if row.peer is None else f"{row.peer:,.2f} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:,.2f}x"
        lines.append(
            f"| {row.work} | {peer} | {row.ours:,.2f} {row.unit} | {ratio} | {row.target} |"
            f" {'yes' if row.holds else 'no'} |"
        )
    return "\n".join(lines)
