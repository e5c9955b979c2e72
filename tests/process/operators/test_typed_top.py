"""Top-N and deduplication on typed state give what the general operators give, at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nextpaint.process.operators import choice
from nextpaint.process.operators.dedup import FirstArrival, LastRow
from nextpaint.process.operators.protocol import Change
from nextpaint.process.operators.top import TopN
from nextpaint.process.operators.typed_dedup import TypedFirstArrival, TypedLastRow
from nextpaint.process.operators.typed_top import TypedTopN, fitting
from nextpaint.record.columns import INSERT
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, STRING, TIMESTAMP, Field, Type
from nextpaint.sql import plan
from nextpaint.sql.plan import Changes, Deduplicate, Rank, Scan, Schema, SortKey
from tests.process.operators.both import Both, Rows, batches

ROW = (BIGINT, STRING, TIMESTAMP, DOUBLE, BOOLEAN)
KEYS = {
    "a number, best first": (SortKey(0, True, False),),
    "text, then a number": (SortKey(1, False, True), SortKey(0, False, False)),
    "text, worst first": (SortKey(1, True, False),),
    "a real": (SortKey(3, True, True),),
    "a real, then a time": (SortKey(3, False, False), SortKey(2, True, False)),
    "a truth": (SortKey(4, False, True),),
}


def schema(types: tuple[Type, ...], changes: Changes = Changes.APPEND) -> Schema:
    return Schema(tuple(Field(f"c{at}", each) for at, each in enumerate(types)), changes=changes)


def ranked(
    keys: tuple[SortKey, ...], ranks: tuple[int, int], *, shown: bool, partition: tuple[int, ...] = (1,), ttl: int = 0
) -> Rank:
    below = Scan(schema(ROW), "t")
    return Rank(schema((*ROW, BIGINT)), below, partition, keys, ranks[0], ranks[1], shown, ttl_ms=ttl)


def drawn(chance: random.Random) -> tuple[Any, ...]:
    return (
        chance.choice((1, 2, 3, -4, None)),
        chance.choice(("x", "xy", "a text longer than one unit of the heap", "", None)),
        chance.choice((5, 6, 7, None)),
        chance.choice((0.5, -1.5, float("inf"), 2.0, None)),
        chance.choice((True, False, None)),
    )


def rows(chance: random.Random, count: int) -> Rows:
    made: Rows = []
    seq = 0
    for _ in range(count):
        made.append((INSERT, seq, drawn(chance)))
        seq += chance.choice((0, 1, 1, 3))
    return made


def driven(run: Both, chance: random.Random, partition: int) -> None:
    given = rows(chance, 80)
    for batch in batches(ROW, given, [(given[-1][1], 10)], chance, 12):
        run.step(batch)
        if chance.random() < 0.3:
            run.upstream[0].changes = [Change(INSERT, drawn(chance)) for _ in range(3)]
            run.live({}, 0)
            run.live({partition: drawn(chance)[partition]}, 0)
        if chance.random() < 0.2:
            run.reload()
    assert run.outputs


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("shown", [True, False])
def test_ranks_equal_those_of_the_general_operator(keys: str, shown: bool) -> None:
    for seed, ranks in enumerate(((1, 1), (1, 3), (2, 4), (3, 3))):
        planned = ranked(KEYS[keys], ranks, shown=shown)
        run = Both(
            [ROW],
            lambda sources, state, planned=planned: TopN("top/1", planned, sources, state),
            lambda sources, state, planned=planned: choice.top("top/1", planned, sources, state),
            ["_rows"],
        )
        assert isinstance(run.typed, TypedTopN)
        driven(run, random.Random(seed), 1)


def test_one_partition_of_all_rows() -> None:
    planned = ranked(KEYS["a number, best first"], (1, 2), shown=True, partition=())
    run = Both(
        [ROW],
        lambda sources, state: TopN("top/1", planned, sources, state),
        lambda sources, state: choice.top("top/1", planned, sources, state),
        ["_rows"],
    )
    driven(run, random.Random(1), 1)


@pytest.mark.parametrize("time", [None, 2])
@pytest.mark.parametrize("partition", [(1,), (4, 0)])
def test_the_last_row_of_a_key(time: int | None, partition: tuple[int, ...]) -> None:
    planned = Deduplicate(schema((*ROW, BIGINT)), Scan(schema(ROW), "t"), partition, time, True)
    for seed in range(4):
        run = Both(
            [ROW],
            lambda sources, state: LastRow("dedup/1", planned, sources, state),
            lambda sources, state: choice.deduplication("dedup/1", planned, sources, state),
            ["_kept"],
        )
        assert isinstance(run.typed, TypedLastRow)
        driven(run, random.Random(seed), partition[0])


def test_the_first_to_arrive() -> None:
    planned = Deduplicate(schema((*ROW, BIGINT)), Scan(schema(ROW), "t"), (1, 0), None, False)
    run = Both(
        [ROW],
        lambda sources, state: FirstArrival("dedup/1", planned, sources, state),
        lambda sources, state: choice.deduplication("dedup/1", planned, sources, state),
        ["_seen"],
    )
    assert isinstance(run.typed, TypedFirstArrival)
    driven(run, random.Random(3), 1)


def test_what_does_not_fit_stays_general() -> None:
    keys = KEYS["a real"]
    assert fitting(ranked(keys, (1, 3), shown=True))
    assert not fitting(ranked(keys, (1, 3), shown=True, ttl=1_000))
    assert not fitting(ranked(keys, (1, 100_000), shown=False)), "too many to walk along"
    updated = plan.Rank(schema((*ROW, BIGINT)), Scan(schema(ROW, Changes.RETRACT), "t"), (1,), keys, 1, 3)
    assert not fitting(updated), "rows that leave let others come back"
