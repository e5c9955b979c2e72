"""Rounds, medians and the printed tables. CPU is nanoseconds that threads ran, never time that passed."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROUNDS = 3  # every round measures everything once, so that a slow minute of the machine meets all of it


class CpuClock:
    """A `Clock` whose durations are CPU time of the calling thread: what a node times with it is what it costs.

    Deadlines become budgets of CPU: a node that waits is not late by this clock.
    """

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.thread_time_ns()


@dataclass
class Cell:
    """One thing measured: per round, CPU ns and how many it was for."""

    rounds: list[tuple[int, int]] = field(default_factory=list)

    def add(self, cpu_ns: int, count: int) -> None:
        self.rounds.append((cpu_ns, count))

    @property
    def us(self) -> float:
        """Median over the rounds of CPU microseconds per one."""
        return median(cpu_ns / count / 1e3 for cpu_ns, count in self.rounds) if self.rounds else 0.0

    @property
    def count(self) -> int:
        return sum(count for _, count in self.rounds)


def arguments(
    description: str, argv: list[str] | None, more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """`--seconds` of measuring (filling comes on top) and `--data`, where the nodes keep their data; `more` adds what
    one bench needs besides."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=30.0, help="measuring time, all rounds together")
    parser.add_argument("--data", type=Path, help="directory for the data; default: /dev/shm where it exists")
    if more is not None:
        more(parser)
    options = parser.parse_args(argv)
    if options.data is None and Path("/dev/shm").is_dir():
        options.data = Path("/dev/shm")
    return options


def where(directory: Path | None) -> str:
    """What the data lies on, in words."""
    if directory is None:
        return "data in the temporary directory"
    memory = Path("/dev/shm") in (directory.resolve(), *directory.resolve().parents)
    kind = "tmpfs: syncs cost nothing" if memory else "a disk"
    return f"data in {directory} ({kind}), {os.cpu_count()} cores"


def print_table(title: str, rows: Iterable[tuple[str, float, str]]) -> None:
    """Name, CPU microseconds, remark."""
    print(f"\n{title:52}{'CPU us':>10}")
    for name, us, remark in rows:
        print(f"  {name:50}{us:>10.1f}  {remark}".rstrip())


def print_ratio(name: str, above: float, below: float, remark: str) -> None:
    """A line that scripts can read: `ratio NAME: VALUE (remark)`."""
    print(f"ratio {name}: {above / below:.2f} ({remark})" if below > 0 else f"ratio {name}: - (nothing to divide by)")
