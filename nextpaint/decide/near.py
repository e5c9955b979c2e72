"""Near misses: the items that would have been answered but for a filter, a rule or a few places, and what kept them
out.

Removed candidates are scored under the scales of those that were kept, so explaining them changes no score. Where
nothing was ranked by weights, removed items have no would-be place (0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binding import BoundSurface, Named
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.feature import read_features
from nextpaint.decide.pipeline import Outcome
from nextpaint.decide.record import NEAR_MAX, NearMiss, rows_of
from nextpaint.record.columns import Column

LOOKED_AT = 200  # removed candidates scored: with more, the best of the rest is far from the page anyway
OUTSCORED_MAX = 3  # of the ten, items that merely scored less: they say little, the next filtered one says more


@dataclass(slots=True)
class _Entry:
    """Row `row` of `batch`; `named`: the filter that removed it, if one did."""

    rank: int
    cause: str
    batch: Candidates
    row: int
    named: Named | None = None
    by: str = ""
    saw: str = ""
    age_ms: int | None = None


def near_misses(bound: BoundSurface, context: Context, outcome: Outcome) -> tuple[NearMiss, ...]:
    """Up to ten, by the place they would have had; at one place what a filter removed comes first."""
    entries = _removed(bound, context, outcome) + _outranked(context, outcome)
    entries.sort(key=lambda entry: entry.rank)
    chosen = entries[:NEAR_MAX]
    missed: list[NearMiss | None] = [None] * len(chosen)
    for batch in {id(entry.batch): entry.batch for entry in chosen}.values():
        places = [place for place, entry in enumerate(chosen) if entry.batch is batch]
        group = [chosen[place] for place in places]
        picked = batch.take(np.array([entry.row for entry in group], np.int64))
        _explain_filter(group, picked, context)
        for place, each in zip(places, _rows(group, picked, bound, context), strict=True):
            missed[place] = each
    return tuple(each for each in missed if each is not None)


def _removed(bound: BoundSurface, context: Context, outcome: Outcome) -> list[_Entry]:
    """Per filter the best of what it removed; what the caller excluded is no near miss."""
    entries: list[_Entry] = []
    room = LOOKED_AT
    ranked = -outcome.ranked.scores
    for named, batch in outcome.removed:
        if named is None or not room:
            continue
        batch = batch.head(room)
        room -= len(batch)
        places = [0] * len(batch)
        if outcome.model is not None or (outcome.weighted is not None and outcome.scales is not None):
            batch = read_features(bound.features, batch, context)
            batch = batch.with_scores(_scores(batch, outcome))
            places = (np.searchsorted(ranked, -batch.scores, side="left") + 1).tolist()
        best = sorted(range(len(batch)), key=places.__getitem__)[:NEAR_MAX]
        entries += [_Entry(places[row], "filter", batch, row, named) for row in best]
    return entries


def _scores(batch: Candidates, outcome: Outcome) -> FloatArray:
    if outcome.model is not None:
        return outcome.model.scores(batch)
    assert outcome.weighted is not None and outcome.scales is not None
    return outcome.weighted.scores(batch, outcome.scales)


def _outranked(context: Context, outcome: Outcome) -> list[_Entry]:
    """The next items below the page, and those a rule moved off it."""
    shown = set(outcome.page.slots[: context.limit].tolist())
    moved = {item: reason for reason, items in context.effects.items() for item, _, _ in items}
    entries: list[_Entry] = []
    batch = outcome.ranked
    end = context.limit + NEAR_MAX
    outscored = 0
    for row, (slot, key) in enumerate(zip(batch.slots[:end].tolist(), batch.ids[:end].tolist(), strict=True)):
        if slot in shown:
            continue
        cause = "rule" if key in moved else "rank" if outcome.explored is None else "explore"
        outscored += cause != "rule"
        if outscored <= OUTSCORED_MAX or cause == "rule":
            entries.append(_Entry(row + 1, cause, batch, row, None, *moved.get(key, ("", ""))))
    return entries


def _explain_filter(group: list[_Entry], picked: Candidates, context: Context) -> None:
    """Puts into words what a filter saw of the items it removed; `group` shares one batch, so one filter."""
    named = group[0].named
    if named is None:
        return
    seen = named.filter.why(picked, context) if named.filter is not None else [("", None)] * len(group)
    for entry, (values, changed_ms) in zip(group, seen, strict=True):
        entry.by, entry.saw = named.label, values
        entry.age_ms = None if changed_ms is None else max(context.time_ms - changed_ms, 0)


def _rows(group: list[_Entry], picked: Candidates, bound: BoundSurface, context: Context) -> list[NearMiss]:
    features = bound.features if picked.features else ()
    values = rows_of([_short(picked.features[each.name]) for each in features], len(group))
    ages = rows_of([each.ages_ms(picked, context) for each in features], len(group))
    scores = [_digits(score) for score in picked.scores.tolist()]
    return [
        NearMiss(key, entry.rank, scores[row], entry.cause, entry.by, entry.saw, entry.age_ms, values[row], ages[row])
        for row, (entry, key) in enumerate(zip(group, picked.keys(), strict=True))
    ]


def _short(column: Column) -> list[float | None]:
    valid = [True] * len(column) if column.valid is None else column.valid.tolist()
    return [_digits(value) if ok else None for value, ok in zip(column.values.tolist(), valid, strict=True)]


def _digits(value: float) -> float:
    """Six significant digits: enough to explain, half the bytes. Nothing is recomputed from a near miss."""
    return float(f"{value:.6g}")
