"""Erasing a person from what operators remember: every operator, typed and general.

Each statement runs over clicks of a few people, one of whom is erased in the middle and clicks on: those late rows are
in the ledger like any others. Whatever the statement is,

* state and outputs do not depend on step cuts, nor on a checkpoint right after the erasure: what is derived was made
  anew as a start makes it;
* the typed operator says what the general one says;
* nothing that is kept, and no row that comes after, names the person.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from nextpaint.process.erasing import MARK, Erased, Traces, erased
from nextpaint.process.erasures import ERASE_TOPIC, UNDER_WAY_MS, Erasure, tomb_of
from nextpaint.process.kernels.paged import STRING, WORD
from nextpaint.process.operators import choice
from nextpaint.process.runner import Arriving, OutputRow, Runner
from nextpaint.process.state import Cell, State
from nextpaint.process.typed import TypedCell
from nextpaint.sql.planner import plan_program
from nextpaint.sql.program import Program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

ANN, BOB, CAT = (name.ljust(22, "x") for name in ("Ann", "Bob", "Cat"))
PEOPLE = (ANN, BOB, CAT)
ITEMS = ("bag", "cup", "lamp")

TABLES = """
    SET 'table.exec.source.idle-timeout' = '20 s';
    CREATE TABLE c (u STRING, item STRING, qty INT, d STRING, ts TIMESTAMP(3), proc AS PROCTIME(),
      WATERMARK FOR ts AS ts - INTERVAL '3' SECOND);
    CREATE TABLE v (u STRING, item STRING, w INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND);
    CREATE TABLE p (u STRING, land STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND,
      PRIMARY KEY (u) NOT ENFORCED);
    CREATE TABLE i (item STRING, owner STRING, price INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '3' SECOND,
      PRIMARY KEY (item) NOT ENFORCED);
"""
WINDOWS = "(TABLE c, DESCRIPTOR(ts), INTERVAL '10' SECOND)"
STATEMENTS = {
    "group": ("u STRING, n BIGINT, t INT, lo INT, hi INT, PRIMARY KEY (u) NOT ENFORCED",
              "SELECT u, COUNT(*), SUM(qty), MIN(qty), MAX(qty) FROM c GROUP BY u"),
    "group_of_others": ("item STRING, n BIGINT, who STRING, hi STRING, PRIMARY KEY (item) NOT ENFORCED",
                        "SELECT item, COUNT(*), LAST_VALUE(u), MAX(u) FROM c GROUP BY item"),
    "nested_keys": ("n BIGINT, k BIGINT, PRIMARY KEY (n) NOT ENFORCED",
                    "SELECT n, COUNT(*) FROM (SELECT COUNT(*) AS n FROM c GROUP BY ROW(u, item)) GROUP BY n"),
    "nested_keys_of_others": ("u STRING, n BIGINT, PRIMARY KEY (u) NOT ENFORCED",
                              "SELECT u, COUNT(DISTINCT ARRAY[u, d]) FROM c GROUP BY u"),
    "nested_decisions": ("d STRING, u STRING",
                         "SELECT r.d, r.u FROM (SELECT DISTINCT ROW(d, u) AS r FROM c)"),
    "distinct": ("item STRING, n BIGINT, k BIGINT, PRIMARY KEY (item) NOT ENFORCED",
                 "SELECT item, COUNT(*), COUNT(DISTINCT u) FROM c GROUP BY item"),
    "distinct_by_person": ("u STRING, k BIGINT, PRIMARY KEY (u) NOT ENFORCED",
                           "SELECT u, COUNT(DISTINCT item) FROM c GROUP BY u"),
    "lists": ("u STRING, l ARRAY<ROW<item STRING, d STRING>>, h DOUBLE, PRIMARY KEY (u) NOT ENFORCED",
              "SELECT u, LAST_N(ROW(item, d), 3), DECAYED_SUM(CAST(qty AS DOUBLE), INTERVAL '10' SECOND) FROM c "
              "GROUP BY u"),
    "lists_of_others": ("item STRING, l ARRAY<STRING>, PRIMARY KEY (item) NOT ENFORCED",
                        "SELECT item, LAST_N(u, 3) FROM c GROUP BY item"),
    "rows_of_others": ("item STRING, l ARRAY<ROW<u STRING, d STRING>>, PRIMARY KEY (item) NOT ENFORCED",
                       "SELECT item, LAST_N(ROW(u, d), 4) FROM c GROUP BY item"),
    "counts_of_others": ("item STRING, l ARRAY<ROW<v STRING, n BIGINT>>, PRIMARY KEY (item) NOT ENFORCED",
                         "SELECT item, TOP_N_COUNTS(u, 2) FROM c GROUP BY item"),
    "of_a_group": ("n BIGINT, people BIGINT, PRIMARY KEY (n) NOT ENFORCED",
                   "SELECT n, COUNT(*) FROM (SELECT u, COUNT(*) AS n FROM c GROUP BY u) GROUP BY n"),
    "extremes": ("land STRING, hi STRING, lo STRING, first_u STRING, k BIGINT, PRIMARY KEY (land) NOT ENFORCED",
                 "SELECT land, MAX(u), MIN(u), FIRST_VALUE(u), COUNT(DISTINCT u) FROM p GROUP BY land"),
    "top_to_a_column": ("u STRING, place BIGINT, item STRING, PRIMARY KEY (u, place) NOT ENFORCED",
                        "SELECT u, place, item FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY u ORDER BY item) AS "
                        "place FROM c) WHERE place <= qty"),
    "windows_by_arrival": ("s TIMESTAMP(3), u STRING, n BIGINT",
                           "SELECT window_start, u, COUNT(*) FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(proc), "
                           "INTERVAL '0.02' SECOND)) GROUP BY window_start, window_end, u"),
    "over": ("u STRING, n BIGINT, t INT",
             "SELECT u, COUNT(*) OVER w, SUM(qty) OVER w FROM c WINDOW w AS "
             "(PARTITION BY u ORDER BY ts RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW)"),
    "over_others": ("u STRING, item STRING, n BIGINT, t INT",
                    "SELECT u, item, COUNT(*) OVER w, SUM(qty) OVER w FROM c WINDOW w AS "
                    "(PARTITION BY item ORDER BY ts RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW)"),
    "over_rows": ("u STRING, item STRING, lo INT",
                  "SELECT u, item, MIN(qty) OVER (PARTITION BY item ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT "
                  "ROW) FROM c"),
    "over_decisions": ("d STRING, u STRING, n BIGINT",
                       "SELECT d, u, COUNT(*) OVER (PARTITION BY d ORDER BY ts RANGE BETWEEN INTERVAL '30' SECOND "
                       "PRECEDING AND CURRENT ROW) FROM c"),
    "over_unbounded": ("u STRING, item STRING, t INT",
                       "SELECT u, item, SUM(qty) OVER (PARTITION BY item ORDER BY ts RANGE UNBOUNDED "
                       "PRECEDING) FROM c"),
    "tumble": ("u STRING, s TIMESTAMP(3), n BIGINT",
               f"SELECT u, window_start, COUNT(*) FROM TUMBLE{WINDOWS} GROUP BY u, window_start, window_end"),
    "tumble_of_others": ("item STRING, s TIMESTAMP(3), n BIGINT, hi STRING",
                         f"SELECT item, window_start, COUNT(*), MAX(u) FROM TUMBLE{WINDOWS} "
                         "GROUP BY item, window_start, window_end"),
    "hop": ("u STRING, s TIMESTAMP(3), n BIGINT",
            "SELECT u, window_start, COUNT(*) FROM HOP(TABLE c, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' "
            "SECOND) GROUP BY u, window_start, window_end"),
    "session": ("u STRING, s TIMESTAMP(3), n BIGINT",
                "SELECT u, window_start, COUNT(*) FROM SESSION(TABLE c PARTITION BY u, DESCRIPTOR(ts), INTERVAL '4' "
                "SECOND) GROUP BY u, window_start, window_end"),
    "session_of_others": ("item STRING, s TIMESTAMP(3), n BIGINT, hi STRING",
                          "SELECT item, window_start, COUNT(*), MAX(u) FROM SESSION(TABLE c PARTITION BY item, "
                          "DESCRIPTOR(ts), INTERVAL '4' SECOND) GROUP BY item, window_start, window_end"),
    "session_rows": ("u STRING, item STRING, s TIMESTAMP(3)",
                     "SELECT u, item, window_start FROM SESSION(TABLE c PARTITION BY item, DESCRIPTOR(ts), "
                     "INTERVAL '4' SECOND)"),
    "last": ("u STRING, item STRING, PRIMARY KEY (u) NOT ENFORCED",
             "SELECT u, item FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY u ORDER BY ts DESC) = 1"),
    "last_of_others": ("item STRING, u STRING, PRIMARY KEY (item) NOT ENFORCED",
                       "SELECT item, u FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts DESC) = 1"),
    "first": ("u STRING, item STRING, ts TIMESTAMP(3)",
              "SELECT u, item, ts FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY u ORDER BY ts) = 1"),
    "first_of_others": ("item STRING, u STRING, ts TIMESTAMP(3)",
                        "SELECT item, u, ts FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY item ORDER BY ts) = 1"),
    "first_to_arrive": ("item STRING, u STRING",
                        "SELECT item, u FROM c QUALIFY ROW_NUMBER() OVER (PARTITION BY u ORDER BY proc) = 1"),
    "top": ("item STRING, place BIGINT, u STRING, qty INT, PRIMARY KEY (item, place) NOT ENFORCED",
            "SELECT item, place, u, qty FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY qty DESC, u) AS "
            "place FROM c) WHERE place <= 3"),
    "top_of_person": ("u STRING, place BIGINT, item STRING, qty INT, PRIMARY KEY (u, place) NOT ENFORCED",
                      "SELECT u, place, item, qty FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY u ORDER BY qty DESC) "
                      "AS place FROM c) WHERE place <= 2"),
    "join": ("u STRING, item STRING, n BIGINT, land STRING, PRIMARY KEY (u, item) NOT ENFORCED",
             "SELECT c.u, item, COUNT(*), MAX(land) FROM c JOIN p ON c.u = p.u GROUP BY c.u, item"),
    "join_by_item": ("item STRING, n BIGINT, t INT, PRIMARY KEY (item) NOT ENFORCED",
                     "SELECT c.item, COUNT(DISTINCT c.u), SUM(price) FROM c LEFT JOIN i ON c.item = i.item "
                     "GROUP BY c.item"),
    "join_and_more": ("item STRING, n BIGINT, t INT, hi STRING, PRIMARY KEY (item) NOT ENFORCED",
                      "SELECT c.item, COUNT(*), SUM(w), MAX(v.u) FROM c FULL JOIN v ON c.item = v.item AND c.qty < v.w "
                      "WHERE c.item IS NOT NULL GROUP BY c.item"),
    "outer": ("u STRING, n BIGINT, w BIGINT, PRIMARY KEY (u) NOT ENFORCED",
              "SELECT p.u, COUNT(*), COUNT(i.item) FROM p LEFT JOIN i ON p.u = i.owner GROUP BY p.u"),
    "exists": ("item STRING, owner STRING, PRIMARY KEY (item) NOT ENFORCED",
               "SELECT item, owner FROM i WHERE EXISTS (SELECT 1 FROM c WHERE c.item = i.item AND c.u <> i.owner)"),
    "interval": ("u STRING, item STRING, w INT",
                 "SELECT c.u, c.item, w FROM c LEFT JOIN v ON c.item = v.item AND v.ts BETWEEN c.ts - INTERVAL '5' "
                 "SECOND AND c.ts + INTERVAL '5' SECOND"),
    "interval_by_person": ("u STRING, item STRING, w INT",
                           "SELECT c.u, c.item, w FROM c JOIN v ON c.u = v.u AND v.ts BETWEEN c.ts - INTERVAL '5' "
                           "SECOND AND c.ts + INTERVAL '5' SECOND"),
    "temporal": ("u STRING, item STRING, owner STRING, ts TIMESTAMP(3)",
                 "SELECT c.u, c.item, owner, c.ts FROM c LEFT JOIN i FOR SYSTEM_TIME AS OF c.ts ON c.item = i.item"),
    "temporal_by_person": ("u STRING, land STRING",
                           "SELECT c.u, land FROM c JOIN p FOR SYSTEM_TIME AS OF c.ts ON c.u = p.u"),
    "lookup": ("u STRING, owner STRING",
               "SELECT c.u, owner FROM c LEFT JOIN i FOR SYSTEM_TIME AS OF c.proc ON c.item = i.item"),
    "window_join": ("u STRING, w INT",
                    f"WITH a AS (SELECT * FROM TUMBLE{WINDOWS}), b AS (SELECT u AS bu, item AS bi, w, window_start AS "
                    "ws, window_end AS we FROM TUMBLE(TABLE v, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
                    "SELECT u, w FROM a LEFT JOIN b ON window_start = ws AND window_end = we AND item = bi"),
    "window_top": ("u STRING, qty INT",
                   f"SELECT u, qty FROM TUMBLE{WINDOWS} "
                   "QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY qty DESC, u) <= 2"),
    "both": ("u STRING, item STRING, PRIMARY KEY (u, item) NOT ENFORCED",
             "SELECT u, item FROM c INTERSECT SELECT u, item FROM v"),
    "sorted": ("u STRING, ts TIMESTAMP(3)", "SELECT u, ts FROM c ORDER BY ts"),
    "match": ("u STRING, first_item STRING, last_item STRING",
              "SELECT u, f, l FROM c MATCH_RECOGNIZE (PARTITION BY u ORDER BY ts MEASURES A.item AS f, B.item AS l "
              "ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) WITHIN INTERVAL '20' SECOND "
              "DEFINE B AS B.qty > A.qty) AS m"),
    "match_of_others": ("item STRING, f STRING, l STRING",
                        "SELECT item, f, l FROM c MATCH_RECOGNIZE (PARTITION BY item ORDER BY ts MEASURES A.u AS f, "
                        "B.u AS l ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) WITHIN INTERVAL '20' "
                        "SECOND DEFINE B AS B.qty > A.qty) AS m"),
}  # fmt: skip
ERASED_AT, SIZE = 90, 160


def program(name: str) -> Program:
    columns, select = STATEMENTS[name]
    text = f"{TABLES} CREATE TABLE answer ({columns}); INSERT INTO answer {select};"
    return plan_program([("erasing.sql", text)], {})


def rows_of(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Clicks up to 5 s late, views, people and items; decisions d0 to d3 are Ann's."""
    chance = random.Random(seed)
    now, rows = 20_000, list[tuple[str, dict[str, Any]]]()
    for _ in range(SIZE):
        now += chance.choice((0, 100, 500, 1_000, 3_000))
        ts, u, item = now - chance.choice((0, 0, 0, 700, 5_000)), chance.choice(PEOPLE), chance.choice(ITEMS)
        decision = f"d{chance.randint(0, 3)}" if u == ANN else f"o{chance.randint(0, 3)}"
        rows.append(
            chance.choice(
                [
                    ("c", {"u": u, "item": item, "qty": chance.randint(1, 5), "d": decision, "ts": ts}),
                    ("c", {"u": u, "item": item, "qty": chance.randint(1, 5), "d": decision, "ts": ts}),
                    ("v", {"u": u, "item": item, "w": chance.randint(1, 5), "ts": ts}),
                    ("p", {"u": u, "land": chance.choice(("de", "fr")), "ts": ts}),
                    ("i", {"item": item, "owner": u, "price": chance.randint(1, 9), "ts": ts}),
                ]
            )
        )
    return rows


def erasing(seq: int, *tokens: str) -> Arriving:
    body = Erasure("e1", tokens, tuple(f"d{n}" for n in range(4)))
    return Arriving(seq, 1_000, ERASE_TOPIC, b"e1", msgspec.json.encode(body), True)


def ledger(seed: int, token: str = ANN) -> list[Arriving]:
    """A life in which somebody is erased."""
    arriving = records(rows_of(seed), entry=2, step_ms=400)
    arriving.insert(ERASED_AT, erasing(ERASED_AT, token))
    at_ms = [each.at_ms for each in arriving]
    at_ms[ERASED_AT] = at_ms[ERASED_AT - 1]
    return [each._replace(seq=seq, at_ms=at) for seq, (each, at) in enumerate(zip(arriving, at_ms, strict=True))]


def kept(runner: Runner) -> bytes:
    """All that a checkpoint would hold."""
    snapshot = runner.state.snapshot()
    pages: list[bytes] = []
    while not snapshot.done:
        pages += [body for _, body in snapshot.slice(1000)]
    return b"".join(pages)


def words(rows: list[OutputRow]) -> str:
    return repr([row.row for row in rows])


@pytest.fixture
def general() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in vars(choice):
            module = getattr(choice, name)
            if name.startswith("typed_"):
                patch.setattr(module, "fitting", lambda *_, **__: None)
        yield patch


def lived(name: str, seed: int) -> tuple[list[OutputRow], Runner]:
    made = runner_of(program(name))
    return whole(made, ledger(seed)), made


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", STATEMENTS)
def test_steps_and_checkpoints_do_not_show_and_nothing_names_the_person(name: str, seed: int) -> None:
    planned, arriving = program(name), ledger(seed)
    expected, one = lived(name, seed)
    assert ANN.encode() in kept(_until(planned, arriving, ERASED_AT)), "the statement remembers people"
    for shuffle in range(2):
        other = runner_of(planned)
        assert outputs_of(cut(other, arriving, shuffle, largest=1 + 12 * shuffle)) == outputs_of(expected)
        assert other.state.hash() == one.state.hash()
    first = runner_of(planned)
    before = whole(first, arriving[: ERASED_AT + 1])
    assert ANN.encode() not in kept(first)
    second = reloaded(first, lambda: runner_of(planned))
    after = whole(first, arriving[ERASED_AT + 1 :])
    assert outputs_of(cut(second, arriving[ERASED_AT + 1 :], seed)) == outputs_of(after)
    assert first.state.hash() == second.state.hash() == one.state.hash()
    assert outputs_of(before) + outputs_of(after) == outputs_of(expected)
    assert ANN.encode() not in kept(first)
    ended = whole(first, []) + list(first.end())
    assert ANN not in words(after) and ANN not in words(ended)
    if name in ("session_rows", "sorted", "first_of_others", "over_others", "interval", "window_top"):
        assert MARK not in words(after) + words(ended), "what waited was dropped, not marked"
    assert outputs_of(ended) == outputs_of(list(second.end()))


def _until(planned: Program, arriving: list[Arriving], at: int) -> Runner:
    runner = runner_of(planned)
    whole(runner, arriving[:at])
    return runner


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", STATEMENTS)
def test_typed_operators_erase_what_the_general_ones_erase(
    name: str, seed: int, request: pytest.FixtureRequest
) -> None:
    found, typed = lived(name, seed)
    ended = outputs_of(list(typed.end()))
    request.getfixturevalue("general")
    expected, plain = lived(name, seed)
    assert not any(isinstance(cell, TypedCell) for cell in plain.state.cells.values())
    assert outputs_of(found) == outputs_of(expected)
    assert outputs_of(list(plain.end())) == ended
    if typed.graph.table("answer") is not None:
        assert table(typed, "answer") == table(plain, "answer")


@pytest.mark.parametrize("name", ["group", "distinct", "over_others", "top", "join_by_item", "session"])
def test_somebody_unknown_leaves_a_tombstone_and_nothing_else(name: str) -> None:
    planned, stranger = program(name), "Nobody".ljust(22, "y")
    one, other = runner_of(planned), runner_of(planned)
    arriving = [each for each in ledger(5, stranger) if each.topic != ERASE_TOPIC]
    with_record = [each._replace(value=erasing(0, stranger).value) if each.topic == ERASE_TOPIC else each
                   for each in ledger(5, stranger)]  # fmt: skip
    decisions = msgspec.json.encode(Erasure("e1", (stranger,)))
    with_record[ERASED_AT] = with_record[ERASED_AT]._replace(value=decisions)
    assert outputs_of(whole(one, arriving)) == outputs_of(whole(other, with_record))
    tombs = other.state.cells["erasures/tombstones"]
    assert [key for key, _ in tombs.items()] == [tomb_of(stranger)]
    for cell in other.state.cells.values():
        if cell is not tombs:
            assert cell.hash() == one.state.cells[cell.name].hash()


def test_counts_over_many_people_stay_and_rows_of_others_are_marked() -> None:
    _, runner = lived("group_of_others", 1)
    planned = program("group_of_others")
    before = _until(planned, ledger(1), ERASED_AT)
    after = _until(planned, ledger(1), ERASED_AT + 1)
    counted = table(before, "answer")
    assert {key: row[1] for key, row in table(after, "answer").items()} == {k: r[1] for k, r in counted.items()}
    assert any(row[2] == ANN for row in counted.values()), "somebody's last click"
    for key, row in counted.items():
        assert table(after, "answer")[key][2] == (MARK if row[2] == ANN else row[2])
    told = {name.partition("/")[0]: each for name, each in after.erasures.counts["e1"].items() if "table/p" not in name}
    assert told and all(each.marked and not each.dropped for each in told.values())
    assert runner.erasures.of(ANN) is not None and runner.erasures.of(BOB) is None


def test_records_under_way_are_passed_over_for_an_hour_and_time_goes_on() -> None:
    planned = program("group")
    arriving = ledger(2)
    runner = _until(planned, arriving, ERASED_AT + 1)
    at_ms = arriving[ERASED_AT].at_ms
    click = {"u": ANN, "item": "bag", "qty": 1, "d": "d9", "ts": 90_000}
    late = records([("c", click), ("c", {**click, "u": BOB})], entry=2, at_ms=at_ms + UNDER_WAY_MS)
    bobs = table(runner, "answer")[(BOB,)][1]
    whole(runner, [each._replace(seq=each.seq + 1_000) for each in late])
    assert (ANN,) not in table(runner, "answer")
    assert table(runner, "answer")[(BOB,)][1] == bobs + 1, "what lies beside it in one entry is taken"
    assert (runner.applied, runner.at_ms) == (1_001, at_ms + UNDER_WAY_MS)
    assert runner.erasures.names(f'{{"subject": "{ANN}"}}') and runner.erasures.names(f"a{ANN}b".encode())
    assert not runner.erasures.names(BOB) and not runner.erasures.names("")


def test_an_erase_record_that_says_nothing_is_passed_over() -> None:
    planned, arriving = program("group"), ledger(3)
    one = runner_of(planned)
    whole(one, [each for each in arriving if each.topic != ERASE_TOPIC])
    for body in (b"", b"{}", b"[1]", msgspec.json.encode(Erasure("e", ())), msgspec.json.encode(Erasure("e", ("x",)))):
        other = runner_of(planned)
        whole(other, [each._replace(value=body) if each.topic == ERASE_TOPIC else each for each in arriving])
        assert other.state.hash() == one.state.hash()


# ---------------------------------------------------------------- cells


def test_a_plain_cell_drops_by_key_marks_in_values_and_tells_who_follows() -> None:
    cell = State().cell("op", "cell", decimals=True)
    watcher: set[Any] = set()
    cell.watchers.append(watcher)
    rows = {
        (ANN, "a"): 1, ("x", ("y", ANN)): 2, f"pre{ANN}post": 3, "d1": 4, ("d1", 1): 5, "d12": 6, "other": (ANN, 7),
        "bytes": b"\x00" + ANN.encode(), "deep": ("x", (1, None, (f"{ANN}!",))), "none": ("Ann", None),
    }  # fmt: skip
    for key, value in rows.items():
        cell.put(key, value)
    watcher.clear()
    assert erased(cell, Traces((ANN,), ("d1",))) == Erased(5, 3)
    assert dict(cell.items()) == {
        "d12": 6, "other": (MARK, 7), "bytes": b"\x00" + MARK.encode(), "deep": ("x", (1, None, (f"{MARK}!",))),
        "none": ("Ann", None),
    }  # fmt: skip
    assert watcher == (rows.keys() - {"d12", "none"})
    waiting = Cell("op/waiting")
    for key, value in (("a", (ANN, 1)), ("b", (BOB, "d1")), ("c", (BOB, "d12"))):
        waiting.put(key, value)
    assert erased(waiting, Traces((ANN,), ("d1",)), waits=True) == Erased(2, 0)
    assert dict(waiting.items()) == {"c": (BOB, "d12")}


def test_a_typed_cell_finds_tokens_in_any_text_and_many_at_once_while_a_snapshot_runs() -> None:
    cell = TypedCell("cell", (STRING, WORD, STRING), 2)
    chance = random.Random(4)
    rows: dict[Any, Any] = {}
    for number in range(6_000):
        who = chance.choice((ANN, BOB, "", "Ann", ANN[:-1] + "y", f"{ANN}{ANN}"))
        key = (chance.choice((f"k{number}", f"{who}-{number}", "d1")), number)
        rows[key] = (chance.choice(("", f'{{"subject":"{who}"}}', who, ANN * 30 if number % 500 == 0 else "é" * 9)),)
        cell.put(key, rows[key])
    cell.freeze()
    traces = Traces((ANN, CAT), ("d1", "d20"))
    left = {key: traces.marked(value) for key, value in rows.items() if not traces.name(key)}
    found = erased(cell, traces)
    assert dict(cell.items()) == left
    assert found.dropped == len(rows) - len(left)
    assert found.marked == sum(traces.name(value) for key, value in rows.items() if key in left)
    saved = TypedCell("cell", (STRING, WORD, STRING), 2)
    for page in cell.frozen_pages():
        saved.load_page(page.body)
    assert dict(saved.items()) == rows, "the snapshot is of before"
    again = TypedCell("cell", (STRING, WORD, STRING), 2)
    for key, value in left.items():
        again.put(key, value)
    assert cell.hash() == again.hash(), "the pages' hashes were made anew"
    for key in rows:
        assert cell.get(key) == left.get(key)
