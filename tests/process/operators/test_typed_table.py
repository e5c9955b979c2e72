"""Tables on typed state hold what the general operator holds, at every step, and say what it says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.operators.typed_table import QuietTable, TypedTable, fitting
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field, array
from tests.process.operators.both import Both, batches

TYPES = (DOUBLE, STRING, BIGINT, STRING, BOOLEAN, TIMESTAMP)
FIELDS = [Field(f"c{at}", each) for at, each in enumerate(TYPES)]


def row(chance: random.Random) -> tuple[Any, ...]:
    return (
        chance.choice((0.0, -0.0, 1.5, None)),
        chance.choice(("a", "b", "a key longer than a unit")),
        chance.choice((1, 2)),
        chance.choice(("text", "", "a text that is longer than one unit", None)),
        chance.choice((True, False, None)),
        chance.choice((5, None)),
    )


class Quiet(Both):
    """The typed table passes nothing on."""

    def step(self, *given: Any) -> None:
        from nextpaint.process.operators.protocol import StepContext

        context = StepContext(given[0].seq, given[0].seq * 10)
        self.general.step(given, context)
        passed = self.typed.step(given, context)
        assert not len(passed)
        assert passed.mark_wm.tolist() == given[0].mark_wm.tolist()
        self.agree()


@pytest.mark.parametrize("key", [(1,), (2, 1)])
@pytest.mark.parametrize("quiet", [True, False])
def test_equal_to_the_general_operator(key: tuple[int, ...], quiet: bool) -> None:
    for seed in range(15):
        chance = random.Random(seed)
        run = (Quiet if quiet else Both)(
            [TYPES],
            lambda sources, state: MaterialisedTable("table/1", FIELDS, key, sources, state),
            lambda sources, state: choice.table("table/1", FIELDS, key, sources, state, quiet=quiet),
            ["rows"],
        )
        assert type(run.typed) is (QuietTable if quiet else TypedTable)
        rows = []
        for seq in range(200):
            kind = chance.choice((INSERT, INSERT, UPDATE_AFTER, DELETE, UPDATE_BEFORE))
            rows.append((kind, seq, row(chance)))
            if kind == UPDATE_BEFORE and chance.random() < 0.7:
                rows.append((UPDATE_AFTER, seq, row(chance)))
        watched: tuple[set[Any], set[Any]] = (set(), set())
        for given in batches(TYPES, rows, [(50, 7)], chance, 9):
            run.general.rows.watchers, run.typed.rows.watchers = [watched[0]], [watched[1]]
            run.step(given)
            asked = [tuple(row(chance)[at] for at in key) for _ in range(chance.randrange(9))]
            assert run.typed.get_all(asked) == run.general.get_all(asked) == [run.typed.get(each) for each in asked]
            if chance.random() < 0.2:
                run.upstream[0].changes = [Change(INSERT, row(chance)) for _ in range(3)]
                run.live({}, 0)
            if chance.random() < 0.15:
                run.reload()
        assert watched[0] <= watched[1]


def test_what_does_not_fit_or_is_read_stays_general() -> None:
    assert not fitting([*FIELDS, Field("l", array(STRING))], (1,))
    assert not fitting(FIELDS, (0,)), "a float is no key"
    from nextpaint.process.state import State

    assert type(choice.table("table/1", FIELDS, (0,), (), State(), quiet=False)) is MaterialisedTable
