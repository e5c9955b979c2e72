"""Time. The wall clock names moments, the monotonic clock measures durations; neither is ever used for the other.

Invariant: the engine reads no clock. Only the writer (which stamps `at`), deadlines and reports do; everything
else takes time from the ledger. Does not promise that the wall clock moves forward: the ledger takes the maximum.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the node may know of time."""

    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970-01-01 UTC. May jump, also backwards."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes backwards. For durations and deadlines."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class SimulatedClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_ns = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def advance(self, ms: int) -> None:
        """Let `ms` >= 0 milliseconds pass on both clocks."""
        if ms < 0:
            raise ValueError(f"time passes forwards: advance({ms}); use jump() to set the wall clock back")
        self._now_ms += ms
        self._monotonic_ns += ms * 1_000_000

    def jump(self, ms: int) -> None:
        """Correct the wall clock by `ms`, as NTP or an operator does; the monotonic clock does not notice."""
        self._now_ms += ms
