"""The person's own items, by a number kept for each: bought before, watched for long, added and not bought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import SUBJECT, Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.order import top
from nextpaint.decide.requirements import Needs
from nextpaint.decide.retrieve import abstain
from nextpaint.decide.stage import Stage


@dataclass(frozen=True)
class Own:
    """The `k` items with the person's largest `by` in `table`, whose key is (subject, item). Rows at zero or below do
    not count; the numbers of several linked tokens add."""

    table: str
    by: str
    k: int = 50
    label = "own"

    def __str__(self) -> str:
        return f"Own({self.table}, by={self.by}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        needs.read(self.table, self.by)

    def bind(self, binder: Binder) -> Stage | None:
        table = binder.table(self.table, "Own")
        if table is None or binder.numeric(table, self.by, "Own(by=)") is None:
            return None
        key = [table.names[index] for index in table.primary_key]
        if key != [SUBJECT, binder.item_key]:
            binder.error(
                f"Own({self.table!r}) needs the key ({SUBJECT}, {binder.item_key}), not ({', '.join(key)})",
                f"declare PRIMARY KEY ({SUBJECT}, {binder.item_key}) NOT ENFORCED",
            )
            return None
        return _own(self, binder.item_key)


def _own(stage: Own, item_key: str) -> Stage:
    def own(candidates: Candidates, context: Context) -> Candidates:
        totals: dict[str, float] = {}
        for subject in context.subjects:
            for row in context.rows(stage.table, (subject,)):
                item, value = row[item_key], row[stage.by]
                if isinstance(item, str) and isinstance(value, int | float) and value > 0:
                    totals[item] = totals.get(item, 0.0) + value
        if not totals:
            return abstain(context, f"nothing of this person in {stage.table}")
        context.known = True
        keys = list(totals)
        values = np.array([totals[key] for key in keys], np.float64)
        best = top(values, keys.__getitem__, stage.k)
        return context.found([keys[each] for each in best.tolist()], values[best])

    return own
