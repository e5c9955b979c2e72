"""Windows: how long a decision may take, and how that time is shared.

A window sets the deadline and nothing else. The three budgets follow the life of a decision: `ingest_ms` for the stream
and the connectors, `process_ms` for state, retrieval and ranking, `govern_ms` for records and policies; what is left of
`total_ms` belongs to the network. `ttl_s` is how long the caller may show the answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Budgets in milliseconds; `process_ms` is the one the stages of a surface are timed against."""

    name: str
    total_ms: int
    ingest_ms: int
    process_ms: int
    govern_ms: int
    ttl_s: int

    def __str__(self) -> str:
        return self.name

    def within(self, total_ms: int) -> Window:
        """The same window in less time: every budget in proportion, none longer than it was."""
        if total_ms >= self.total_ms:
            return self
        share = max(total_ms, 0) / self.total_ms
        ingest, process, govern = (int(each * share) for each in (self.ingest_ms, self.process_ms, self.govern_ms))
        return Window(self.name, max(total_ms, 0), ingest, process, govern, self.ttl_s)


RTB = Window("RTB", 100, 35, 45, 10, ttl_s=10)
WEB_RERANK = Window("WEB_RERANK", 500, 100, 250, 40, ttl_s=60)
# A push waits minutes and an e-mail days, but the thread that owns state does not: both process as fast as a page does.
PUSH = Window("PUSH", 5 * 60_000, 60_000, 250, 60_000, ttl_s=2 * 3_600)
EMAIL = Window("EMAIL", 3 * 86_400_000, 3_600_000, 250, 3_600_000, ttl_s=3 * 86_400)
