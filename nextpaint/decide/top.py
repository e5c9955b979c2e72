"""The best items of a table by one of its columns, for everyone or within what the person likes.

One pass over the column finds the rows that may be among the best; ties are settled among those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from nextpaint.decide.binder import SUBJECT, Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.order import settled
from nextpaint.decide.requirements import Needs
from nextpaint.decide.retrieve import abstain
from nextpaint.decide.stage import Stage
from nextpaint.process.kernels.best import best, restrict
from nextpaint.record.columns import BoolArray


@dataclass(frozen=True)
class TopOf:
    """For `where` of `Top`: the person's `n` best values, by column `by` of a table keyed by (subject, value). Values
    that are not above zero do not count."""

    table: str
    by: str
    n: int = 3

    def __str__(self) -> str:
        return f"TopOf({self.table}, by={self.by}, n={self.n})"


Wanted = TopOf | str | Sequence[str]


@dataclass(frozen=True)
class Top:
    """The `k` items with the largest `by` in `table`, whose key is the item. `where` restricts columns (of the table,
    else of the items table) to values: a constant, a list, or the person's own `TopOf`."""

    table: str
    by: str
    k: int = 50
    where: Mapping[str, Wanted] = field(default_factory=dict)
    label = "top"

    def __str__(self) -> str:
        where = ", where {}".format(" and ".join(f"{name} in {each}" for name, each in self.where.items()))
        return f"Top({self.table}, by={self.by}, k={self.k}{where if self.where else ''})"

    def needs(self, needs: Needs) -> None:
        needs.whole[self.table] = None
        for wanted in self.where.values():
            if isinstance(wanted, TopOf):
                needs.read(wanted.table, wanted.by)

    def bind(self, binder: Binder) -> Stage | None:
        table = binder.table(self.table, "Top")
        if table is None:
            return None
        key = [table.names[index] for index in table.primary_key]
        if len(key) != 1:
            binder.error(
                f"Top({self.table!r}) needs a table kept by item, its key is ({', '.join(key)})",
                "GROUP BY the item only, and let where= take the category from the items table",
            )
        wheres = []
        for name, wanted in self.where.items():
            own = name in table.names
            if not own and binder.item_column(name, "Top(where=)") is None:
                continue
            if not isinstance(wanted, TopOf) or _check_top_of(wanted, name, binder):
                wheres.append(_Where(name, table.name if own else binder.items_table, wanted))
        found = binder.numeric(table, self.by, "Top(by=)")
        if found is None or len(wheres) < len(self.where):
            return None
        self._follow(wheres, binder)
        return _top(self, wheres)

    def _follow(self, wheres: Sequence[_Where], binder: Binder) -> None:
        followed = binder.followed
        followed.column(self.table, self.by)
        followed.place(self.table, binder.items_table)
        for where in wheres:
            followed.code(where.table, where.name)
            followed.place(self.table, where.table)
            if isinstance(where.wanted, TopOf):
                followed.prefix(where.wanted.table)


def _check_top_of(wanted: TopOf, name: str, binder: Binder) -> bool:
    table = binder.table(wanted.table, "TopOf")
    if table is None:
        return False
    key = [table.names[index] for index in table.primary_key]
    if key != [SUBJECT, name]:
        binder.error(
            f"TopOf({wanted.table!r}) for {name!r} needs the key (subject, {name}), not ({', '.join(key)})",
            f"declare PRIMARY KEY (subject, {name}) NOT ENFORCED",
        )
        return False
    return binder.numeric(table, wanted.by, "TopOf(by=)") is not None


@dataclass(frozen=True)
class _Where:
    """Column `name` of `table` (the top table or the items table) is restricted to what `wanted` says."""

    name: str
    table: str
    wanted: Wanted

    def values(self, context: Context) -> frozenset[object]:
        wanted = self.wanted
        if isinstance(wanted, TopOf):
            return frozenset(_best_values(wanted, self.name, context))
        return frozenset([wanted] if isinstance(wanted, str) else wanted)


def _best_values(wanted: TopOf, name: str, context: Context) -> list[str]:
    totals: dict[str, float] = {}
    for subject in context.subjects:
        for row in context.rows(wanted.table, (subject,)):
            key, value = row[name], row[wanted.by]
            if isinstance(key, str) and isinstance(value, int | float) and value > 0:
                totals[key] = totals.get(key, 0.0) + value
    context.known |= bool(totals)
    return sorted(totals, key=lambda key: (-totals[key], key))[: wanted.n]


def _top(stage: Top, wheres: Sequence[_Where]) -> Stage:
    def best_of(candidates: Candidates, context: Context) -> Candidates:
        keys = cast(Sequence[str], context.whole(stage.table).keys)
        scores = context.column(stage.table, stage.by)
        usable = np.ones(len(scores), np.bool_) if scores.valid is None else scores.valid.copy()
        for where in wheres:
            wanted = where.values(context)
            if not wanted:
                return abstain(context, f"no {where.name} of interest yet")
            _restrict(usable, where, stage.table, wanted, context)
        found = best(np.ascontiguousarray(scores.values, np.float64), usable, max(stage.k, 1))
        places, values = settled(found, keys.__getitem__, stage.k)
        if not len(places):
            return abstain(context, f"{stage.table} has no matching item")
        if stage.table != context.items_table:
            places = context.places(stage.table, context.items_table)[places]
        return context.found_at(places, values)

    return best_of


def _restrict(usable: BoolArray, where: _Where, table: str, wanted: frozenset[object], context: Context) -> None:
    """Leaves usable those slots of the top table whose column `where.name` holds a wanted value."""
    codes, code_of = context.whole(where.table).codes(where.name)
    accepted = np.zeros(len(code_of), np.bool_)
    accepted[[code for value, code in code_of.items() if value in wanted]] = True
    places = _OWN if where.table == table else context.places(table, where.table)
    restrict(usable, places, codes, accepted)


_OWN = np.empty(0, np.int64)  # every slot of the top table is its own
