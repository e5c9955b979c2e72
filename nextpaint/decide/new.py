"""What was added lately: candidates, and a feature of them. The score is 2^-(age / half_life): 1 for what came now.

A shop's new items have no clicks, no baskets and no place in anybody's habits: nothing else would ever propose them.
What is older than `HALF_LIVES` half-lives is not new any more, and what lies ahead of the decision is not there yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.order import top
from nextpaint.decide.requirements import Needs
from nextpaint.decide.retrieve import abstain
from nextpaint.decide.stage import Stage
from nextpaint.process.kernels.decay import decay_array
from nextpaint.record.columns import BoolArray, Column, IntArray
from nextpaint.record.types import DOUBLE

HALF_LIVES = 10  # a thousandth is left


@dataclass(frozen=True)
class New:
    """The `k` items with the latest `by`, a time column of the items table: when an item was added, as the shop says.
    Without `by`, when the node first heard of the item: a later change of it, or its return, makes it no newer.

    As a feature its value is what is left of the item's newness, in (0, 1]; 0 for one that is not new, NULL without a
    time. `half_life`: how fast newness fades.
    """

    by: str = ""
    half_life: str = "7 d"
    k: int = 50
    label = "new"

    def __str__(self) -> str:
        return f"New({f'by={self.by}' if self.by else 'first seen'}, half-life {self.half_life}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        needs.whole[needs.items] = None
        if not self.by:
            needs.first_seen()

    def scored(self, binder: Binder) -> BoundNew | None:
        """The scores, bound to the items table; None after reporting what is wrong."""
        if not self.by:
            return self._first_seen(binder)
        found = binder.item_column(self.by, "New(by=)")
        half_life_ms = binder.duration(self.half_life, "New(half_life=)")
        if found is not None and not found.type.is_time:
            binder.error(f"New(by={self.by!r}) is {found.type}, not a time", "name a TIMESTAMP column")
            return None
        if found is None or not half_life_ms:
            return None
        binder.followed.column(binder.items_table, self.by)
        return BoundNew(binder.items_table, self.by, half_life_ms)

    def _first_seen(self, binder: Binder) -> BoundNew | None:
        half_life_ms = binder.duration(self.half_life, "New(half_life=)")
        name = Needs(binder.items_table).first_seen()
        items = binder.items
        if items is None or not half_life_ms:
            return None
        if items.takes_images or "avro" in f"{items.option('format')} {items.option('value.format')}":
            binder.error(f"New() of {items.name}, whose records are not plain JSON", "name a time column: New(by=...)")
            return None
        binder.followed.column(name, "seen")
        binder.followed.place(binder.items_table, name)
        return BoundNew(name, "seen", half_life_ms)

    def bind(self, binder: Binder) -> Stage | None:
        bound = self.scored(binder)
        return None if bound is None else _new(bound, self.k)


@dataclass(frozen=True)
class BoundNew:
    """Newness by item, computed once a decision and shared by all stages that want it."""

    table: str
    by: str
    half_life_ms: int

    def values(self, candidates: Candidates, context: Context) -> Column:
        """What is left of each candidate's newness, shape (n,)."""
        ages, known = self._ages(context)
        ages, known = ages[candidates.slots], known[candidates.slots]
        left = np.where(self._fresh(ages), decay_array(np.ones(len(ages)), ages, self.half_life_ms), 0.0)
        return Column(DOUBLE, left, None if bool(known.all()) else known)

    def fresh(self, context: Context) -> tuple[IntArray, IntArray]:
        """Slots of the items that are new, and the age of each in ms."""
        ages, known = self._ages(context)
        slots: IntArray = np.flatnonzero(known & self._fresh(ages))
        return slots, ages[slots]

    def _fresh(self, ages: IntArray) -> BoolArray:
        return (ages >= 0) & (ages <= HALF_LIVES * self.half_life_ms)

    def _ages(self, context: Context) -> tuple[IntArray, BoolArray]:
        """Per slot of the items table its age in ms, and whether it has a time."""
        column = context.column(self.table, self.by)
        values = column.values.astype(np.int64)
        known = np.ones(len(values), np.bool_) if column.valid is None else column.valid
        if self.table != context.items_table:
            places = context.places(context.items_table, self.table)
            if not len(values):
                return np.full(len(places), -1, np.int64), np.zeros(len(places), np.bool_)
            values, known = values[places], known[places] & (places >= 0)
        return np.where(known, context.time_ms - values, -1), known


def _new(bound: BoundNew, k: int) -> Stage:
    def new(candidates: Candidates, context: Context) -> Candidates:
        slots, ages = bound.fresh(context)
        if not len(slots):
            return abstain(context, f"nothing is new by {bound.by}")
        keys = context.items.keys
        best = top(-ages.astype(np.float64), lambda index: str(keys[slots[index]]), k)
        scores = decay_array(np.ones(len(best)), ages[best], bound.half_life_ms)
        return context.found_at(slots[best], scores)

    return new
