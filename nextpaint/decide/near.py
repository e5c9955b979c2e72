"""Near misses: the items that would have been answered but for a filter, a rule or a few places, and what kept them
out.

Removed candidates are scored under the scales of those that were kept, so explaining them changes no score. Where
nothing was ranked by weights, removed items have no would-be place (0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binding import BoundSurface, Named
from nextpaint.decide.candidates import Candidates, FloatArray, concatenated
from nextpaint.decide.context import Context
from nextpaint.decide.feature import read_features
from nextpaint.decide.pipeline import Outcome
from nextpaint.decide.record import NEAR_MAX, NearMiss, rows_of
from nextpaint.record.columns import Column

LOOKED_AT = 200  # removed candidates scored: with more, the best of the rest is far from the page anyway
OUTSCORED_MAX = 3  # of the ten, items that merely scored less: they say little, the next filtered one says more


@dataclass(slots=True)
class _Entry:
    """Row `row` of the removed candidates (`named`: the filter that removed it) or, without a filter, of the ranked
    ones."""

    rank: int
    cause: str
    row: int
    named: Named | None = None
    by: str = ""
    saw: str = ""
    age_ms: int | None = None


def near_misses(bound: BoundSurface, context: Context, outcome: Outcome) -> tuple[NearMiss, ...]:
    """Up to ten, by the place they would have had; at one place what a filter removed comes first."""
    removed, entries = _removed(bound, context, outcome)
    entries += _outranked(context, outcome)
    entries.sort(key=lambda entry: entry.rank)
    del entries[NEAR_MAX:]
    filtered = [entry for entry in entries if entry.named is not None]
    others = [entry for entry in entries if entry.named is None]
    picked = removed.take(np.array([entry.row for entry in filtered], np.int64))
    _explain_filters(filtered, picked, context)
    outranked = outcome.ranked.take(np.array([entry.row for entry in others], np.int64))
    made: dict[int, NearMiss] = {}
    for group, batch in _groups((filtered, picked), (others, outranked)):
        for entry, miss in zip(group, _rows(group, batch, bound, context), strict=True):
            made[id(entry)] = miss
    return tuple(made[id(entry)] for entry in entries)


_Group = tuple[list[_Entry], Candidates]


def _groups(first: _Group, second: _Group) -> list[_Group]:
    """Both as one batch where features were read for both or for neither, else each for itself."""
    if not second[0] or not first[0]:
        return [first if first[0] else second]
    if first[1].features.names != second[1].features.names:
        return [first, second]
    return [(first[0] + second[0], concatenated([first[1], second[1]]))]


def _removed(bound: BoundSurface, context: Context, outcome: Outcome) -> tuple[Candidates, list[_Entry]]:
    """The first of what each filter removed, scored, and the best of them; what the caller excluded is no near
    miss."""
    batches: list[Candidates] = []
    filters: list[Named] = []
    room = LOOKED_AT
    for named, batch in outcome.removed:
        if named is not None and room:
            batches.append(batch.head(room))
            filters += [named] * len(batches[-1])
            room -= len(batches[-1])
    removed = concatenated(batches)
    if not len(removed):
        return removed, []
    places = np.zeros(len(removed), np.int64)
    if outcome.model is not None or (outcome.weighted is not None and outcome.scales is not None):
        removed = read_features(bound.features, removed, context)
        removed = removed.with_scores(_scores(removed, outcome))
        places = np.searchsorted(-outcome.ranked.scores, -removed.scores, side="left") + 1
    best = places.argsort(kind="stable")[:NEAR_MAX].tolist()
    return removed, [_Entry(int(places[row]), "filter", row, filters[row]) for row in best]


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
    best = batch.head(end)
    for row, (slot, key) in enumerate(zip(best.slots.tolist(), best.keys(), strict=True)):
        if slot in shown:
            continue
        cause = "rule" if key in moved else "rank" if outcome.explored is None else "explore"
        outscored += cause != "rule"
        if outscored <= OUTSCORED_MAX or cause == "rule":
            entries.append(_Entry(row + 1, cause, row, None, *moved.get(key, ("", ""))))
    return entries


def _explain_filters(entries: list[_Entry], picked: Candidates, context: Context) -> None:
    """Puts into words what filters saw of the items they removed: row i of `picked` is entry i."""
    for named in {id(entry.named): entry.named for entry in entries}.values():
        assert named is not None
        rows = [row for row, entry in enumerate(entries) if entry.named is named]
        refused = picked.take(np.array(rows))
        seen = [("", None)] * len(rows) if named.filter is None else named.filter.why(refused, context)
        for row, (values, changed_ms) in zip(rows, seen, strict=True):
            entry = entries[row]
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
