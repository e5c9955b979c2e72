"""Propensities that are too dear for the answer path: estimated in the background, kept as records.

Where a policy cannot say with which probability it showed a page (Thompson sampling), the page is drawn again many
times from the posterior the decision read, on a worker thread, one decision at a time. What comes out enters the ledger
(topic `_propensities`) with its standard error: it is read from there and never computed twice. After each the work
rests for `REST` times as long, so it takes a twentieth of one core from decisions: a busy node estimates a sample,
which does not depend on what was decided, and counts the others (`propensities_skipped`); `nextpaint evaluate` draws
what it needs itself.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nextpaint.decide import Decision
from nextpaint.decide.propensity import ESTIMATED, Estimate, estimate
from nextpaint.ports import Clock, Workers
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind

PROPENSITIES_TOPIC = "_propensities"
DRAWS = 256  # a standard error of at most 0.031; about 30 ms of one worker for a hundred candidates
REST = 20

_json = msgspec.json.Encoder().encode


class Estimated(msgspec.Struct, frozen=True):
    """The record: propensities by explored place, and their standard errors."""

    decision_id: str
    draws: int
    values: tuple[float, ...]
    errors: tuple[float, ...]


class PropensityWork:
    """Estimates one decision at a time. `append` writes a draft to the ledger."""

    def __init__(
        self, workers: Workers, clock: Clock, append: Callable[[Draft], None], count: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._workers = workers
        self._clock = clock
        self._append = append
        self._count = count
        self._busy = False
        self._resumes_ns = 0

    def poke(self, decision: Decision, now_ms: int) -> None:
        """A decision was recorded: estimate its propensities if its policy could not say them."""
        if decision.explored is None or decision.explored.drawn.pages is None:
            return
        if decision.record.explored is None or decision.record.explored.kind != ESTIMATED:
            return
        started_ns = self._clock.monotonic_ns()
        if self._busy or started_ns < self._resumes_ns:
            self._count("propensities_skipped")
            return
        self._busy = True

        def done(found: Estimate | None, error: BaseException | None) -> None:
            ended_ns = self._clock.monotonic_ns()
            self._busy, self._resumes_ns = False, ended_ns + REST * (ended_ns - started_ns)
            if found is None:
                self._count("propensities_failed")
                return
            name = decision.record.decision_id
            value = _json(Estimated(name, found.draws, found.values, found.errors))
            self._append(Draft(PROPENSITIES_TOPIC, EntryKind.INPUT, [Record(name.encode(), value, now_ms)]))
            self._count("propensities_estimated")

        self._workers.submit(lambda: _estimate(decision), done)


def _estimate(decision: Decision) -> Estimate:
    explored, record = decision.explored, decision.record
    assert explored is not None and explored.drawn.pages is not None
    places = min(record.request.limit, len(explored.pool))
    return estimate(explored.drawn.pages, explored.drawn.order, places, DRAWS, record.seed)
