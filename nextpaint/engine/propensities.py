"""Propensities that are too dear for the answer path: estimated in the background, kept as records.

Where a policy cannot say with which probability it showed a page (Thompson sampling), the page is drawn again many
times from the posterior the decision read, on a worker thread, one decision at a time. What comes out enters the ledger
(topic `_propensities`) with its standard error: it is read from there and never computed twice. A node with more
decisions than the worker can follow estimates a part of them and counts the others; `nextpaint evaluate` says how many
it had.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nextpaint.decide import Decision
from nextpaint.decide.propensity import ESTIMATED, Estimate, estimate
from nextpaint.ports import Workers
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind

PROPENSITIES_TOPIC = "_propensities"
DRAWS = 256  # a standard error of at most 0.031; about 30 ms of one worker for a hundred candidates
WAITING_MAX = 32  # decisions: a second of work

_json = msgspec.json.Encoder().encode


class Estimated(msgspec.Struct, frozen=True):
    """The record: propensities by explored place, and their standard errors."""

    decision_id: str
    draws: int
    values: tuple[float, ...]
    errors: tuple[float, ...]


class PropensityWork:
    """Estimates one decision after the other. `append` writes a draft to the ledger."""

    def __init__(self, workers: Workers, append: Callable[[Draft], None], count: Callable[[str], None]) -> None:
        self._workers = workers
        self._append = append
        self._count = count
        self._waiting: list[Decision] = []
        self._busy = False

    def poke(self, decision: Decision, now_ms: int) -> None:
        """A decision was recorded: estimate its propensities if its policy could not say them."""
        if decision.explored is None or decision.explored.drawn.pages is None:
            return
        if decision.record.explored is None or decision.record.explored.kind != ESTIMATED:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._count("propensities_skipped")
            return
        self._waiting.append(decision)
        self._next(now_ms)

    def _next(self, now_ms: int) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        decision = self._waiting.pop(0)

        def done(found: Estimate | None, error: BaseException | None) -> None:
            self._busy = False
            if found is None:
                self._count("propensities_failed")
            else:
                name = decision.record.decision_id
                value = _json(Estimated(name, found.draws, found.values, found.errors))
                self._append(Draft(PROPENSITIES_TOPIC, EntryKind.INPUT, [Record(name.encode(), value, now_ms)]))
                self._count("propensities_estimated")
            self._next(now_ms)

        self._workers.submit(lambda: _estimate(decision), done)


def _estimate(decision: Decision) -> Estimate:
    explored, record = decision.explored, decision.record
    assert explored is not None and explored.drawn.pages is not None
    places = min(record.request.limit, len(explored.pool))
    return estimate(explored.drawn.pages, explored.drawn.order, places, DRAWS, record.seed)
