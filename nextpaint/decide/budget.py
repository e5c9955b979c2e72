"""Time: what each stage of a decision is expected to cost, and which path it takes because of that.

A stage runs if what it usually costs, and what the stages that can never be skipped usually cost after it, fits before
the deadline. Otherwise its declared cheaper path is taken, and the decision says so (`degraded`). The expectation is an
exponentially weighted mean of measured times; each decision that goes without a stage lowers it a little, so a stage
that was slow once is tried again.

The clock is read here and only here, through the port. A replay measures nothing: it follows the recorded paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from nextpaint.ports.clock import Clock

SMOOTHING = 0.1  # a change of cost is followed within about ten decisions
FORGETTING = 0.9  # a stage that costs twice what is left is tried again after about seven decisions

RUN = "run"
UNTIL_TRAINED = "until_trained"


class StageRun(msgspec.Struct, array_like=True, frozen=True):
    """One stage of one decision: `path` is "run" or the cheaper path taken; `note` is what the stage said."""

    stage: str
    path: str
    ms: float
    note: str = ""


class Degraded(msgspec.Struct, frozen=True):
    """A stage that had no time: why, and what was used instead."""

    stage: str
    cause: str
    used: str


@dataclass(frozen=True, slots=True)
class Paths:
    """What a replay follows: the path of each stage, and the list a fallback used."""

    stages: Mapping[str, str]
    degraded: tuple[Degraded, ...] = ()
    fallback: tuple[str, ...] = ()


class Costs:
    """Expected nanoseconds per surface and stage; 0 until measured, so a new stage is tried."""

    def __init__(self) -> None:
        self._surfaces: dict[str, dict[str, float]] = {}

    def of(self, surface: str) -> dict[str, float]:
        """Expected nanoseconds by stage, of one surface."""
        return self._surfaces.setdefault(surface, {})

    def expected_ns(self, surface: str, *stages: str) -> float:
        """What these stages cost together."""
        expected = self.of(surface)
        return sum(expected.get(stage, 0.0) for stage in stages)

    def observe(self, surface: str, stage: str, ns: int) -> None:
        expected = self.of(surface)
        before = expected.get(stage)
        expected[stage] = float(ns) if before is None else before + SMOOTHING * (ns - before)

    def skipped(self, surface: str, stage: str) -> None:
        expected = self.of(surface)
        expected[stage] = expected.get(stage, 0.0) * FORGETTING


@dataclass(slots=True)
class Timeline:
    """One decision's stages: their paths, times and degradations. `recorded`: the paths of a replay, None when live.
    `pressed`: other decisions wait."""

    surface: str
    costs: Costs
    clock: Clock
    deadline_ns: int
    recorded: Paths | None
    pressed: bool = False
    stages: list[StageRun] = field(default_factory=list)
    degraded: list[Degraded] = field(default_factory=list)
    started_ns: int = 0
    _mark_ns: int = 0

    def __post_init__(self) -> None:
        if self.recorded is None:
            self.started_ns = self._mark_ns = self.clock.monotonic_ns()
        else:
            self.degraded.extend(self.recorded.degraded)

    def choose(self, stage: str, cheaper: str, used: str, then: tuple[str, ...] = ()) -> str:
        """The path of `stage`: RUN, or `cheaper` when it and the unskippable stages `then` would not fit. `used`: what
        the answer gets instead; '' for a stage the answer does not depend on, which degrades nothing and is the first
        to go where other decisions wait."""
        if self.recorded is not None:
            return self.recorded.stages.get(stage, RUN)
        if self.pressed and not used:
            return cheaper
        left_ns = self.deadline_ns - self.clock.monotonic_ns()
        expected_ns = self.costs.expected_ns(self.surface, stage, *then)
        if expected_ns <= left_ns and left_ns > 0:
            return RUN
        cause = f"needs {expected_ns / 1e6:.1f} ms, {max(left_ns, 0) / 1e6:.1f} ms left"
        self.costs.skipped(self.surface, stage)
        if used:
            self.degraded.append(Degraded(stage, cause, used))
        return cheaper

    def forgo(self, stage: str) -> None:
        """`stage` is not run because a stage it was counted with was skipped: what it cost once is doubted like that
        one's, or nothing would ever measure it again."""
        if self.recorded is None:
            self.costs.skipped(self.surface, stage)

    def give_way(self, stage: str, cheaper: str, used: str, cause: str) -> str:
        """The cheaper path of `stage` for another reason than time. A replay follows what is recorded."""
        if self.recorded is not None:
            return self.recorded.stages.get(stage, RUN)
        self.degraded.append(Degraded(stage, cause, used))
        return cheaper

    def start(self) -> None:
        """The next stage begins now; time since the last `finish` belongs to no stage."""
        if self.recorded is None:
            self._mark_ns = self.clock.monotonic_ns()

    def finish(self, stage: str, path: str = RUN, note: str = "") -> None:
        """`stage` ended; it began at the last `start` or `finish`."""
        ms = 0.0
        if self.recorded is None:
            now_ns = self.clock.monotonic_ns()
            spent_ns = now_ns - self._mark_ns
            self._mark_ns = now_ns
            ms = round(spent_ns / 1e6, 3)
            if path in (RUN, UNTIL_TRAINED):
                self.costs.observe(self.surface, stage, spent_ns)
        self.stages.append(StageRun(stage, path, ms, note))

    def spent_ms(self) -> float:
        """Milliseconds since the decision began; 0.0 in a replay."""
        if self.recorded is not None:
            return 0.0
        return round((self.clock.monotonic_ns() - self.started_ns) / 1e6, 3)
