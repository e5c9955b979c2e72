"""Runs plans over records: at any step cut, from any checkpoint, to any position."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from nextpaint.process.graph import Design
from nextpaint.process.live import Tables
from nextpaint.process.runner import Arriving, OutputRow, Runner
from nextpaint.sql.program import Program

Records = list[Arriving]


def records(
    rows: Sequence[tuple[str, dict[str, Any]]], *, entry: int = 1, at_ms: int = 1_000, step_ms: int = 1
) -> Records:
    """(topic, row) pairs as ledger records; every `entry` records share an entry and its clock."""
    made = []
    for seq, (topic, row) in enumerate(rows):
        at = at_ms + (seq // entry) * step_ms
        made.append(Arriving(seq, at, topic, None, json.dumps(row).encode(), seq % entry == 0))
    return made


def whole(runner: Runner, arriving: Records) -> list[OutputRow]:
    """All records in one step."""
    return list(runner.apply(arriving))


def cut(runner: Runner, arriving: Records, seed: int, largest: int = 7) -> list[OutputRow]:
    """The same records in steps of random size."""
    chance = random.Random(seed)
    outputs: list[OutputRow] = []
    at = 0
    while at < len(arriving):
        size = chance.randint(1, largest)
        outputs += runner.apply(arriving[at : at + size])
        at += size
    return outputs


def runner_of(program: Program, **more: Any) -> Runner:
    return Runner(Design(program, **more))


def reloaded(runner: Runner, make: Callable[[], Runner]) -> Runner:
    """A fresh runner with this one's state, through the bytes a checkpoint holds."""
    snapshot = runner.state.snapshot()
    pages: list[tuple[str, bytes]] = []
    while not snapshot.done:
        pages += snapshot.slice(5)
    fresh = make()
    for name, data in pages:
        fresh.state.cells[name].load_page(data)
    assert fresh.state.hash() == snapshot.state_hash == runner.state.hash()
    fresh.restore(runner.applied, runner.at_ms)
    return fresh


def outputs_of(rows: Sequence[OutputRow]) -> list[tuple[Any, ...]]:
    return [(tuple(row.identity), row.topic, row.kind, tuple(row.row.items())) for row in rows]


def table(runner: Runner, name: str) -> dict[Any, Any]:
    """The final rows of a materialised table."""
    found = runner.graph.table(name)
    assert found is not None
    return {key: found.get(key) for key, _ in found.rows.items()}


def live(runner: Runner, name: str, as_of: int) -> dict[Any, Any]:
    """The live rows of a table, read key by key from the keys a run to the end would give and those that are final."""
    tables = Tables(runner)
    return tables.live[name].rows((), as_of)
