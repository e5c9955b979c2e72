"""What a decision teaches its learner: the row of `_explored` that the decision's record gives.

The learner counts with exactly the numbers that are logged, so posteriors follow from the ledger alone. A decision that
explored nothing, or has no learner, teaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nextpaint.decide.codec import converted

Json = Any


def explored_rows(raw: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
    """The row of a decision record (parsed JSON of either format); none when nothing is learned from it."""
    if not (raw.get("explored") or {}).get("learner"):
        return ()
    record = converted(raw)
    explored = record.explored
    assert explored is not None
    names = [each.name for each in record.features]
    chosen = [(names.index(name), scale) for name, scale in explored.scales.items()]
    shown = [(item, tried) for item, tried in zip(record.items, explored.tried, strict=True) if tried.place]
    if not shown:
        return ()
    contexts: list[float] = []
    if chosen:
        for item, _ in shown:
            contexts += [_scaled(item.values[at], scale) for at, scale in chosen] + [1.0]
    return [
        {
            "decision_id": record.decision_id,
            "learner": explored.learner,
            "ts": record.time_ms,
            "items": [item.id for item, _ in shown],
            "arms": [tried.arm or item.id for item, tried in shown],
            "examined": [float(tried.examined) for _, tried in shown],
            "means": [float(tried.mean) for _, tried in shown],
            "priors": [float(tried.prior) for _, tried in shown],
            "contexts": contexts,
        }
    ]


def _scaled(value: float | None, scale: float) -> float:
    return 0.0 if value is None or not scale > 0.0 else value / scale
