"""The wall that does not move: state and outputs are functions of the record sequence, however it is cut.

Proven with two operators that hold rows back: a sliding OVER count and an event-time temporal join.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.live import Tables
from nextpaint.process.operators.protocol import MARK, ROW, EventClock, merged, moments
from nextpaint.process.runner import Runner
from nextpaint.process.state import State
from nextpaint.record.columns import IDLE, MAX_WATERMARK, Batch
from nextpaint.record.types import BIGINT, STRING, TIMESTAMP, Field
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, Scan, Schema
from nextpaint.sql.program import Insert, Program, Table, Watermark
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

CLICKS = Table(
    "clicks", (Field("u", STRING), Field("item", STRING), Field("ts", TIMESTAMP)), watermark=Watermark(2, 5_000)
)
ITEMS = Table(
    "items",
    (Field("item", STRING), Field("kind", STRING), Field("ts", TIMESTAMP)),
    primary_key=(0,),
    watermark=Watermark(2, 0),
)
PACE = Table("pace", (Field("u", STRING), Field("n", BIGINT)), primary_key=(0,))
JOINED = Table("joined", (Field("u", STRING), Field("item", STRING), Field("kind", STRING), Field("ts", TIMESTAMP)))
COUNTED = Table("counted", (Field("u", STRING), Field("kind", STRING), Field("n", BIGINT)), primary_key=(0, 1))


def _ref(table_: Table, name: str) -> plan.ColumnRef:
    index = table_.names.index(name)
    return plan.ColumnRef(table_.fields[index].type, index, name)


def program() -> Program:
    clicks = Scan(Schema(CLICKS.fields, rowtime=2), "clicks")
    items = Scan(Schema(ITEMS.fields, rowtime=2, key=(0,), changes=plan.Changes.RETRACT), "items")
    count = Aggregate("COUNT", (), BIGINT)
    over = plan.OverAggregate(
        Schema((*CLICKS.fields, Field("n", BIGINT)), rowtime=2), clicks, (0,), 2, "RANGE", 10_000, (count,)
    )
    pace = plan.Project(Schema(PACE.fields), over, (_ref(CLICKS, "u"), plan.ColumnRef(BIGINT, 3, "n")))
    join = plan.TemporalJoin(
        Schema((*CLICKS.fields, *ITEMS.fields), rowtime=2), clicks, items, (1,), (0,), 2, 2, outer=True
    )
    joined = plan.Project(
        Schema(JOINED.fields, rowtime=3),
        join,
        (_ref(CLICKS, "u"), _ref(CLICKS, "item"), plan.ColumnRef(STRING, 4, "kind"), _ref(CLICKS, "ts")),
    )
    scan = Scan(Schema(JOINED.fields, rowtime=3), "joined")
    counted = plan.GroupAggregate(Schema(COUNTED.fields, key=(0, 1)), scan, (0, 2), (count,))
    tables = {each.name: each for each in (CLICKS, ITEMS, PACE, JOINED, COUNTED)}
    inserts = (
        Insert("pace", pace, (0, 1), "pace"),
        Insert("joined", joined, (0, 1, 2, 3), "joined"),
        Insert("counted", counted, (0, 1, 2), "counted"),
    )
    return Program(tables, inserts, {"table.exec.source.idle-timeout": "3 s"})


def make() -> Runner:
    return runner_of(program())


def stream(seed: int, size: int) -> list[tuple[str, dict[str, Any]]]:
    """Clicks and item changes, out of order by up to 12 s (some are late), with pauses."""
    chance = random.Random(seed)
    time, rows = 10_000, []
    for _ in range(size):
        time += chance.choice((0, 0, 1, 500, 1_000, 4_000, 20_000))
        if chance.random() < 0.2:
            rows.append(("items", {"item": chance.choice("xyz"), "kind": chance.choice("kl"), "ts": time}))
        else:
            late = chance.choice((0, 0, 0, 1_000, 4_000, 12_000))
            rows.append(("clicks", {"u": chance.choice("ab"), "item": chance.choice("xyz"), "ts": time - late}))
    return rows


def state(runner: Runner) -> tuple[str, Any, Any]:
    return runner.state.hash(), table(runner, "pace"), table(runner, "counted")


@pytest.mark.parametrize("seed", range(8))
def test_state_and_outputs_do_not_depend_on_step_cuts(seed: int) -> None:
    arriving = records(stream(seed, 300), entry=3, step_ms=700)
    one = make()
    expected = outputs_of(whole(one, arriving))
    assert expected, "the stream fires something"
    for shuffle in range(5):
        other = make()
        assert outputs_of(cut(other, arriving, shuffle, largest=1 + 10 * shuffle)) == expected
        assert state(other) == state(one)


@pytest.mark.parametrize("seed", range(6))
def test_any_checkpoint_plus_the_records_after_it_gives_the_same_state(seed: int) -> None:
    arriving = records(stream(seed, 200), entry=2, step_ms=900)
    one = make()
    expected = outputs_of(whole(one, arriving))
    chance = random.Random(seed)
    for at in chance.sample(range(1, 199), 12):
        first = make()
        before = outputs_of(whole(first, arriving[:at]))
        second = reloaded(first, make)
        assert before + outputs_of(cut(second, arriving[at:], at)) == expected
        assert state(second) == state(one)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 40_000))
def test_live_equals_a_run_of_the_prefix_to_its_end(seed: int, size: int, ahead: int) -> None:
    arriving = records(stream(seed, size), entry=2, step_ms=500)
    running, ended = make(), make()
    cut(running, arriving, seed)
    whole(ended, arriving)
    ended.end()
    tables = Tables(running)
    for user in "ab":
        assert tables.live["counted"].rows((user,), 0) == {
            key: row for key, row in table(ended, "counted").items() if key[0] == user
        }
    clicks = [row for topic, row in stream(seed, size) if topic == "clicks"]
    as_of = max((row["ts"] for row in clicks), default=0) + ahead
    for user in "ab":
        found = tables.live["pace"].row((user,), as_of)
        assert (found is None) == ((user,) not in table(ended, "pace"))


def test_a_sliding_count_read_as_of_a_time_falls_without_an_event() -> None:
    runner = make()
    whole(runner, records([("clicks", {"u": "a", "item": "x", "ts": 20_000 + 1_000 * at}) for at in range(5)]))
    pace = Tables(runner).live["pace"]
    assert pace.reach.as_of == "recount"
    counts = {as_of: pace.row(("a",), as_of) for as_of in (24_000, 31_999, 33_000, 34_000)}
    assert counts == {24_000: ("a", 5), 31_999: ("a", 3), 33_000: ("a", 1), 34_000: ("a", 0)}


def test_silence_of_the_catalogue_does_not_hold_clicks_back() -> None:
    rows = [("items", {"item": "x", "kind": "k", "ts": 1_000}), ("clicks", {"u": "a", "item": "x", "ts": 2_000})]
    rows += [("clicks", {"u": "b", "item": "x", "ts": 20_000})]
    runner = make()
    assert not whole(runner, records(rows)), "the watermark of items stands at 1 s"
    late = records([("clicks", {"u": "b", "item": "x", "ts": 21_000})], at_ms=9_000)
    fired = runner.apply([each._replace(seq=each.seq + 3) for each in late])
    assert [row.row["u"] for row in fired] == ["a"], "after 3 s of silence the catalogue is left out of the minimum"


def test_a_row_that_does_not_decode_is_dead_not_lost() -> None:
    runner = make()
    outputs = whole(runner, records([("clicks", {"u": "a", "item": "x", "ts": "soon"})]))
    assert [(row.topic, row.identity.seq) for row in outputs] == [("_dead", 0)]
    assert "is not a time" in str(outputs[0].row["reason"])


marks = st.lists(st.sampled_from([-5, 0, 3, 7, 12, IDLE, MAX_WATERMARK]), max_size=4)


@given(st.lists(st.tuples(marks, marks, st.integers(0, 2), st.integers(0, 2)), max_size=6), st.integers(1, 2))
def test_watermarks_at_which_nothing_is_due_are_passed_over(steps: list[Any], ports: int) -> None:
    """Against a clock that takes every mark: rows find the same watermark, and what is due fires at the same seq."""
    every, some = EventClock(State(), "o", ports), EventClock(State(), "o", ports)
    due_every, due_some = [-3, 1, 5, 12, 2**62], [-3, 1, 5, 12, 2**62]
    seq = 0
    for *given_marks, rows, more_rows in steps:
        batches = []
        for port in range(ports):
            count = (rows, more_rows)[port]
            seqs = [seq + at * (2 + port) for at in range(count)]
            batch = Batch.of((BIGINT,), [(at,) for at in range(count)], seqs, [0] * count)
            batches.append(batch.with_marks([seq + at for at in range(len(given_marks[port]))], given_marks[port]))
        seq += 20
        expected, risen_one_by_one = [], []
        for what, port, value, at in merged(batches):
            if what == ROW:
                expected.append((at, port, value, every.watermark))
            elif every.advance(port, value):
                risen_one_by_one.append((at, every.watermark))
                while due_every and due_every[0] <= every.watermark:
                    expected.append((at, "fires", due_every.pop(0), every.watermark))
        told: list[Any] = []
        risen = some.risen(batches)
        for what, port, value, at in moments(batches, some, risen, lambda: due_some[0] if due_some else None):
            if what == ROW:
                told.append((at, port, value, some.watermark))
            while what == MARK and due_some and due_some[0] <= some.watermark:
                told.append((at, "fires", due_some.pop(0), some.watermark))
        assert told == expected
        assert list(zip(*(each.tolist() for each in risen), strict=True)) == risen_one_by_one
        assert (some.watermark, some.inputs) == (every.watermark, every.inputs)
        some.restore()
        assert (some.watermark, some.inputs) == (every.watermark, every.inputs)
