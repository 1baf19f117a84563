"""Small tools for measuring a lab from outside: medians, resident memory, processor time."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(slots=True)
class Row:
    """One line of the table: what was measured, in which unit, what a real cluster takes, what we aim at."""

    name: str
    unit: str
    aim: float | None = None
    real: float | None = None
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How many times less than a real cluster."""
        return self.real / self.median if self.real and self.median else None

    def to_json(self) -> dict[str, object]:
        """All figures, unrounded."""
        return {
            "name": self.name,
            "unit": self.unit,
            "aim": self.aim,
            "kubernetes": self.real,
            "median": self.median,
            "values": self.values,
        }


def children_of(pid: int) -> Iterable[int]:
    """A process and all its descendants."""
    yield pid
    try:
        tasks = (_PROC / str(pid) / "task").iterdir()
        kids = [int(k) for t in tasks for k in (t / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for kid in kids:
        yield from children_of(kid)


def resident_mib(pid: int) -> float:
    """VmRSS of a process and its descendants, in MiB."""
    total = 0
    for each in children_of(pid):
        try:
            lines = (_PROC / str(each) / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
    return total / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its descendants have used."""
    total = 0
    for each in children_of(pid):
        try:
            stat = (_PROC / str(each) / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| what | unit | median | min-max | runs | aim | a real cluster | ratio |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        spread = f"{min(row.values):.3g}-{max(row.values):.3g}"
        ratio = f"{row.ratio:.1f}x" if row.ratio else ""
        aim = "" if row.aim is None else f"{row.aim:g}"
        real = "" if row.real is None else f"{row.real:g}"
        lines.append(
            f"| {row.name} | {row.unit} | {row.median:.3g} | {spread} | {len(row.values)} | {aim} | {real} | {ratio} |"
        )
    return "\n".join(lines)
