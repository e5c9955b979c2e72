"""Exploration, experiment, model and rules of a recorded decision, as data and in words for support and analysts."""

from __future__ import annotations

from typing import Any

import msgspec

from nextpaint.decide.exploration import Tried
from nextpaint.decide.record import DecisionRecord


def told_of(record: DecisionRecord) -> dict[str, Any]:
    """What a support view says of how the page was learned and ruled; empty keys where there was nothing."""
    explored, model = record.explored, record.rank
    return {
        "explored": None
        if explored is None
        else {
            "policy": explored.policy,
            "pool": explored.pool,
            "propensities_are": explored.kind,
            "items": [
                {"id": item.id, **msgspec.structs.asdict(tried), "text": text_of(tried)}
                for item, tried in zip(record.items, explored.tried, strict=True)
            ],
        },
        "experiment": None if record.experiment is None else msgspec.to_builtins(record.experiment),
        "model": None if not model.model else {"sha256": model.model, "role": model.role,
                                               "shadow": msgspec.to_builtins(model.shadow)},
        "marks": msgspec.to_builtins(record.marks),
    }  # fmt: skip


def text_of(tried: Tried) -> str:
    """An item's exploration in one line."""
    if not tried.place:
        return "not explored: below the pool"
    known = f"expected {tried.mean:.1%} after {tried.trials:g} showings, {tried.prior:.1%} before any"
    if not tried.prior:
        known = "nothing is learned here"
    chance = "" if tried.propensity is None else f"; this place had a probability of {tried.propensity:.3g}"
    return f"{known}{chance}"


def lines_of(record: DecisionRecord) -> list[str]:
    """Lines of the support text."""
    lines = []
    if record.experiment is not None:
        told = record.experiment
        lines.append(f"Experiment {told.experiment}: variant {told.variant}.")
    if record.explored is not None:
        kind = {"marginal": "exact", "conditional": "exact, place by place", "estimated": "estimated afterwards"}
        lines.append(
            f"Explored {record.explored.pool} candidates by {record.explored.policy}; probabilities are "
            f"{kind.get(record.explored.kind, record.explored.kind)}."
        )
    for effect in record.effects:
        lines += [f"{effect.rule}: {item} from {before} to {after or 'off the list'}: {effect.why}"
                  for item, before, after in effect.moved if effect.why]  # fmt: skip
    return lines
