"""Runs a case: its rows as ledger records through the runner, its answer compared with what Flink gave.

The path is the engine's own: text is planned, records carry JSON and reach operators through the sources, every record
is an entry of its own (so the ledger clock moves and the watermark follows every row), and the end of input closes
everything. `cuttings` runs the same records again cut into steps at random places, with the state written out and read
into a fresh runner at one of them: output rows with their identities and the state hash must be the same.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from nextpaint.connect.conformance import cells
from nextpaint.connect.conformance.case import Case, CaseTable, Change, Expectation
from nextpaint.connect.conformance.cells import Row
from nextpaint.connect.conformance.column_types import different_types
from nextpaint.ports.random import SeededRandom
from nextpaint.process.graph import Design
from nextpaint.process.runner import DEAD_TOPIC, Arriving, OutputRow, Runner
from nextpaint.record.errors import ApplicationError, NextpaintError
from nextpaint.record.types import Type
from nextpaint.sql.program import Program
from nextpaint.sql.script import plan_script

_json = msgspec.json.Encoder().encode

FIRST_MS = 1_000_000  # ledger time of the first record
SHOWN_MAX = 12  # rows of a difference

Json = Any


@dataclass(frozen=True, slots=True)
class Answer:
    """The changes a case's statement made, in order, with the types of their cells."""

    types: tuple[Type, ...]
    changes: tuple[tuple[str, Row], ...]
    is_table: bool = False


class Failed(Exception):
    """Why a case did not pass, in words and rows."""


def run_case(case: Case, cuttings: int = 0, seed: int = 0) -> str:
    """Run one case; "" when it passes, otherwise what is wrong, over several lines."""
    try:
        program, target = planned(case)
    except ApplicationError as error:
        if case.expectation is Expectation.REFUSED:
            return ""
        return "not planned: " + "\n".join(str(each) for each in error.diagnostics)
    if case.expectation is Expectation.REFUSED:
        return "planned, and Flink refuses it"
    try:
        records = arriving(case)
        whole = Run(program, records)
        compare(case, answer(whole, program, target))
        for number in range(cuttings):
            _same_when_cut(
                whole, Run(program, records, chance=SeededRandom(crc32(f"{seed}/{number}/{case.id}".encode())))
            )
    except (Failed, NextpaintError) as error:
        return str(error)
    except Exception as error:  # a case that breaks the engine has failed; the others go on
        return "the engine broke:\n" + "".join(traceback.format_exception(error, limit=-3)).rstrip()
    return ""


# ---------------------------------------------------------------- planning


def planned(case: Case) -> tuple[Program, str]:
    """The program of a case and the table its answer is. Raises ApplicationError."""
    tables = ";\n".join(each.ddl + _options(each) for each in case.tables)
    return plan_script(("tables", tables), (case.id, case.sql))


def _options(table: CaseTable) -> str:
    """A changelog with a key arrives as upserts and deletes by key, one without as before and after images."""
    return " WITH ('format' = 'debezium-json')" if _has_images(table) else ""


def _has_images(table: CaseTable) -> bool:
    """Also where an update changes nothing, which an upsert could not tell."""
    pairs = zip(table.changes, table.changes[1:], strict=False)
    same = any((a.kind, b.kind) == ("-U", "+U") and a.cells == b.cells for a, b in pairs)
    return table.is_changelog and (table.images or not table.primary_key or same)


# ---------------------------------------------------------------- records


def arriving(case: Case) -> list[Arriving]:
    """The rows of the tables as ledger records, each an entry of its own. A -U and the +U after it are one record."""
    fed = [(case.table(name), case.table(name).changes[index]) for name, index in case.feed]
    records: list[Arriving] = []
    at = 0
    while at < len(fed):
        table, change = fed[at]
        after = fed[at + 1] if at + 1 < len(fed) else None
        pair = change.kind == "-U" and after is not None and after[0] is table and after[1].kind == "+U"
        changes = (change, after[1]) if pair and after is not None else (change,)
        at += len(changes)
        for key, value in _encoded(table, changes):
            seq = len(records)
            records.append(Arriving(seq, FIRST_MS + seq, table.name, key, value, True))
    return records


def _encoded(table: CaseTable, changes: Sequence[Change]) -> list[tuple[bytes | None, bytes | None]]:
    """(key, value) of the records of one change, or of an update in two parts."""
    rows = [_object(table, each.cells) for each in changes]
    if not table.is_changelog:
        return [(None, _json(rows[0]))]
    kinds = [each.kind for each in changes]
    if _has_images(table):
        return [(None, _json(_image(kinds, rows)))]
    if len(rows) == 1 and kinds[0] in ("-U", "-D"):
        return [(_json({name: rows[0][name] for name in table.primary_key}), None)]
    keys = [tuple(row[name] for name in table.primary_key) for row in rows]
    if len(rows) == 2 and keys[0] != keys[1]:
        deleted = _json(dict(zip(table.primary_key, keys[0], strict=True)))
        return [(deleted, None), (None, _json(rows[1]))]
    return [(None, _json(rows[-1]))]


def _object(table: CaseTable, row: Sequence[Json]) -> dict[str, Json]:
    """A row as a record's JSON object; bytes are base64 there."""
    made = dict(zip(table.columns, row, strict=True))
    for name, type_ in zip(table.columns, table.types, strict=True):
        if type_.upper().startswith(("BYTES", "VARBINARY", "BINARY")) and isinstance(made[name], str):
            made[name] = base64.b64encode(cells.octets(made[name])).decode()
    return made


def _image(kinds: Sequence[str], rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """A change as Debezium writes it."""
    if len(rows) == 2:
        return {"before": rows[0], "after": rows[1], "op": "u"}
    if kinds[0] in ("-U", "-D"):
        return {"before": rows[0], "after": None, "op": "d"}
    return {"before": None, "after": rows[0], "op": "c"}


# ---------------------------------------------------------------- running


class Run:
    """One run over the records of a case, with its output rows and state hashes.

    `chance`: steps of random size, and a checkpoint at one of the cuts.
    """

    def __init__(self, program: Program, records: list[Arriving], chance: SeededRandom | None = None) -> None:
        self._design = Design(program)
        self.outputs: list[OutputRow] = []
        runner = Runner(self._design)
        at = 0
        checkpoint = _below(chance, len(records) + 1) if chance is not None else -1
        if checkpoint == 0:
            runner = self._reloaded(runner)
        while at < len(records):
            size = len(records) if chance is None else 1 + _below(chance, 1 + len(records) // 2)
            stop = min(at + size, checkpoint if at < checkpoint else len(records))
            self.outputs += runner.apply(records[at:stop])
            at = stop
            if at == checkpoint:
                runner = self._reloaded(runner)
        self.hash = runner.state.hash()
        self.outputs += runner.end()
        self.end_hash = runner.state.hash()
        self.runner = runner

    def _reloaded(self, runner: Runner) -> Runner:
        """A fresh runner with this one's state, through the bytes of a checkpoint."""
        snapshot = runner.state.snapshot()
        pages: list[tuple[str, bytes]] = []
        while not snapshot.done:
            pages += snapshot.slice(16)
        fresh = Runner(self._design)
        for name, data in pages:
            fresh.state.cells[name].load_page(data)
        fresh.restore(runner.applied, runner.at_ms)
        if fresh.state.hash() != snapshot.state_hash:
            raise Failed("the state read back from a checkpoint is not the state written")
        return fresh


def _same_when_cut(whole: Run, cut: Run) -> None:
    """Raises Failed unless the two runs gave equal rows, identities and states."""
    rows = [[(each.identity, each.topic, each.kind, repr(each.row)) for each in run.outputs] for run in (whole, cut)]
    if rows[0] != rows[1]:
        different = next(
            (
                f"row {at}: {left} became {right}"
                for at, (left, right) in enumerate(zip(*rows, strict=False))
                if left != right
            ),
            f"{len(rows[0])} rows became {len(rows[1])}",
        )
        raise Failed(f"cut into other steps, or from a checkpoint, the answer differs: {different}")
    if (whole.hash, whole.end_hash) != (cut.hash, cut.end_hash):
        raise Failed("cut into other steps, or from a checkpoint, the rows are equal and the state hash is not")


def _below(chance: SeededRandom, limit: int) -> int:
    return chance.uint64() % limit


# ---------------------------------------------------------------- comparing


def answer(run: Run, program: Program, target: str) -> Answer:
    """The changes of the target as comparable cells; of a target with a key, its rows at the end.

    Raises Failed when rows died on the way.
    """
    dead = [each.row for each in run.outputs if each.topic == DEAD_TOPIC]
    if dead:
        raise Failed(f"{len(dead)} rows failed, the first at {_word(dead[0]['operator'])}: {_word(dead[0]['reason'])}")
    types = tuple(each.type for each in program.tables[target].fields)
    table = run.runner.graph.table(target)
    if table is None:
        changes = [(each.kind, list(each.row.values())) for each in run.outputs if each.topic == target]
    else:
        changes = [("+I", list(table.get(key) or ())) for key, _ in table.rows.items()]
    return Answer(
        types, tuple((kind, tuple(map(cells.actual, row, types))) for kind, row in changes), table is not None
    )


def compare(case: Case, found: Answer) -> None:
    """Raises Failed with the rows that differ."""
    wanted = [_wanted(row, found.types, case.expectation) for row in case.expect]
    wrong_types = different_types(case.types, found.types)
    if wrong_types:
        raise Failed("\n".join(wrong_types))
    if found.is_table and case.expectation is not Expectation.FINAL:
        raise Failed("the target has a PRIMARY KEY: what it holds at the end is its answer, so expect_kind is final")
    match case.expectation:
        case Expectation.APPEND:
            updates = [each for each in found.changes if each[0] != "+I"]
            if updates:
                raise Failed(f"expected insertions only, found {_shown((updates[0][0], *updates[0][1]))}")
            _same_rows(wanted, [row for _, row in found.changes], found.types)
        case Expectation.FINAL:
            _same_rows(wanted, settled(found.changes), found.types)
        case Expectation.CHANGELOG:
            _same_list(wanted, [(kind, *row) for kind, row in found.changes], found.types)
        case Expectation.UPSERT_CHANGELOG:
            _same_list(wanted, [(kind, *row) for kind, row in found.changes if kind != "-U"], found.types)


def _wanted(row: Sequence[Json], types: Sequence[Type], expectation: Expectation) -> Row:
    kind = row[:1] if expectation in (Expectation.CHANGELOG, Expectation.UPSERT_CHANGELOG) else ()
    given = row[len(kind) :]
    if len(given) != len(types):
        raise Failed(f"an expected row has {len(given)} cells, the answer {len(types)} columns")
    return (*kind, *map(cells.expected, given, types))


def settled(changes: Sequence[tuple[str, Row]]) -> list[Row]:
    """The rows a changelog leaves. Raises Failed when it takes back a row that is not there."""
    rows: list[Row] = []
    for kind, row in changes:
        if kind in ("+I", "+U"):
            rows.append(row)
            continue
        if row not in rows:
            raise Failed(f"{_shown((kind, *row))} takes back a row that is not there")
        rows.remove(row)
    return rows


def _same_rows(wanted: Sequence[Row], found: Sequence[Row], types: Sequence[Type]) -> None:
    missing, spare = cells.difference(wanted, found, types)
    if missing or spare:
        lines = [f"- {_shown(row)}" for row in missing] + [f"+ {_shown(row)}" for row in spare]
        raise Failed(f"{len(missing)} rows missing (-), {len(spare)} too many (+)\n" + "\n".join(lines[:SHOWN_MAX]))


def _same_list(wanted: Sequence[Row], found: Sequence[Row], types: Sequence[Type]) -> None:
    at = 0
    while at < min(len(wanted), len(found)) and cells.same_row(wanted[at], found[at], types):
        at += 1
    if at == len(wanted) == len(found):
        return
    lines = [f"- {_shown(row)}" for row in wanted[at:]][:SHOWN_MAX] + [f"+ {_shown(row)}" for row in found[at:]][
        :SHOWN_MAX
    ]
    raise Failed(f"the changelogs part at change {at + 1}: expected (-), found (+)\n" + "\n".join(lines))


def _shown(row: Sequence[cells.Cell]) -> str:
    return "[" + ", ".join(_word(each) for each in row) + "]"


def _word(cell: cells.Cell) -> str:
    return "NULL" if cell is None else str(cell)
