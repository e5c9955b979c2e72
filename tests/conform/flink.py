"""Asks Flink what cases answer: writes their tables as files, runs `answer_with_flink.py`, reads what was printed.

Used by `goldens.py` and by the tests that run Flink. Not a test itself.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nextpaint.connect.conformance import cells
from nextpaint.connect.conformance.case import Case, CaseTable, Change, Expectation
from nextpaint.sql.dialect import Kind, tokenize
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.script import plan_script
from nextpaint.sql.statement_grammar import split_statements

SCRIPT = Path(__file__).with_name("answer_with_flink.py")
BATCH = 40  # queries in one job: past this its network buffers run out

Json = Any


@dataclass(frozen=True)
class Answer:
    """What Flink said: the changes in the order they were printed, and the types of the columns; or why it refused."""

    changes: tuple[tuple[str, tuple[Json, ...]], ...] = ()
    types: tuple[str, ...] = ()
    refused: str = ""
    unread: str = ""  # why what it printed is not read


def ask(cases: Sequence[Case], python: str, batch: int = BATCH) -> dict[str, Answer]:
    """The answers by case id. Cases are grouped by their settings, since a job has one configuration."""
    groups: dict[str, list[tuple[Case, Script]]] = defaultdict(list)
    answers: dict[str, Answer] = {}
    for case in cases:
        try:
            script = read_script(case)
        except Refusal as refusal:
            answers[case.id] = Answer(refused=f"our lexer: {refusal}")
            continue
        groups[json.dumps(script.settings, sort_keys=True)].append((case, script))
    for settings, group in groups.items():
        answers |= _answered(group, {"settings": json.loads(settings), "batch": batch}, python)
    return answers


# ---------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class Script:
    """A case's statements as Flink gets them."""

    settings: dict[str, str]
    statements: list[str]
    query: str
    insert: str
    types: list[str]  # of the INSERT's target
    filled: str = ""  # CREATE TABLE ... AS, where that is the question


_SET = re.compile(r"SET\s+'([^']+)'\s*=\s*'([^']*)'", re.IGNORECASE)
_TARGET = re.compile(
    r"CREATE\s+(?:TEMPORARY\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`?(\w+)`?\s*\((.*)\)\s*\Z", re.I | re.S
)
_FILLED = re.compile(r"CREATE\s+TABLE\s[^;]*?\bAS\s+(SELECT|WITH|VALUES)\b", re.IGNORECASE)
_LIKE = re.compile(r"\)\s*LIKE\b", re.IGNORECASE)
_INSERT = re.compile(r"INSERT\s+INTO\s+`?(\w+)", re.IGNORECASE)


def read_script(case: Case) -> Script:
    """SET, CREATE and the question told apart; what is filled gets a connector that prints."""
    settings: dict[str, str] = {}
    statements: list[str] = []
    query = insert = ""
    types: list[str] = []
    for word, start, end in split_statements(case.sql, case.id):
        text = case.sql[start:end]
        if word == "SET" and (found := _SET.match(text)):
            settings[found.group(1)] = found.group(2)
        elif word == "INSERT":
            insert = text
        elif word in ("CREATE", "DROP", "USE"):
            statements.append(text)
        else:
            query = text
    if insert and not query:
        name = _INSERT.match(insert)
        for index, text in enumerate(statements):
            target = _TARGET.match(text)
            if name and target and target.group(1) == name.group(1) and not _LIKE.search(text):
                statements[index] = text + " WITH ({print})"
                types = _column_types(target.group(2))
    filled = printing(statements.pop()) if not (query or insert) and statements else ""
    statements = [printing(text) if _FILLED.match(text) else text for text in statements]
    types = types or list(case.types)
    return Script(settings, statements, query, "" if query else insert, types, filled)


def printing(text: str) -> str:
    """CREATE TABLE ... AS with a connector that prints."""
    depth = 0
    for token in tokenize(text):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind is Kind.SIGN else 0
        if token.upper == "AS" and not depth:
            return f"{text[: token.start]}WITH ({{print}}) {text[token.start :]}"
    raise ValueError(f"the case asks nothing: {text}")


def _column_types(columns: str) -> list[str]:
    parts = re.split(r",(?![^(<]*[)>])", columns)
    named = [
        part.strip() for part in parts if not re.match(r"\s*(PRIMARY|CONSTRAINT|WATERMARK)\b", part, re.IGNORECASE)
    ]
    return [part.split(None, 1)[1] for part in named]


def table_ddl(table: CaseTable, path: Path) -> str:
    """The table over a file of its rows."""
    form = "debezium-json" if table.is_changelog else "json"
    return f"{table.ddl} WITH ('connector'='filesystem', 'path'='{path}', 'format'='{form}')"


def table_lines(table: CaseTable) -> list[Json]:
    """The file of a table: rows, or changes as Debezium writes them."""
    if not table.is_changelog:
        return [_object(table, each) for each in table.changes]
    lines: list[Json] = []
    at = 0
    while at < len(table.changes):
        change = table.changes[at]
        row = _object(table, change)
        after = table.changes[at + 1] if at + 1 < len(table.changes) else None
        at += 1
        if change.kind == "-U" and after is not None and after.kind == "+U":
            lines.append({"before": row, "after": _object(table, after), "op": "u"})
            at += 1
        elif change.kind in ("-U", "-D"):
            lines.append({"before": row, "after": None, "op": "d"})
        else:
            lines.append({"before": None, "after": row, "op": "c"})
    return lines


def _object(table: CaseTable, change: Change) -> Json:
    return {
        name: _cell(cell, type_.upper())
        for name, type_, cell in zip(table.columns, table.types, change.cells, strict=True)
    }


def _cell(cell: Json, type_: str) -> Json:
    """A cell as Flink's JSON format reads it."""
    if type_.startswith("TIMESTAMP") and cell is not None:
        instant = cells.milliseconds(cell) if isinstance(cell, str) else int(cell)
        return timestamp(instant) + ("Z" if "LTZ" in type_ or "LOCAL" in type_ else "")
    if type_.startswith(("BYTES", "VARBINARY", "BINARY")) and isinstance(cell, str):
        return base64.b64encode(cells.octets(cell)).decode()
    return cell


def timestamp(ms: float) -> str:
    """Epoch ms as `2026-01-01 00:00:00.000`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


# ---------------------------------------------------------------- asking


def _answered(group: Sequence[tuple[Case, Script]], asked: dict[str, Json], python: str) -> dict[str, Answer]:
    """The answers of one run of Flink: its start costs more than many queries."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        request: dict[str, Json] = {**asked, "cases": [], "result": str(place / "result.json")}
        for number, (case, script) in enumerate(group):
            ddl = []
            for index, table in enumerate(case.tables):
                path = place / f"{number}-{index}.json"
                path.write_text("".join(json.dumps(line) + "\n" for line in table_lines(table)), "utf-8")
                ddl.append(table_ddl(table, path))
            request["cases"].append(
                {"id": case.id, "tables": ddl, "statements": script.statements, "query": script.query,
                 "insert": script.insert, "filled": script.filled, "plan_only": case.expectation is Expectation.REFUSED}
            )  # fmt: skip
        (place / "request.json").write_text(json.dumps(request), "utf-8")
        printed = place / "printed"
        with printed.open("wb") as out, (place / "log").open("wb") as log:
            done = subprocess.run(
                [python, str(SCRIPT), str(place / "request.json")], stdout=out, stderr=log, check=False
            )
        if done.returncode:
            raise RuntimeError(f"PyFlink ended with {done.returncode}:\n{(place / 'log').read_text('utf-8')[-3000:]}")
        result = json.loads(Path(request["result"]).read_text("utf-8"))
        lines = _lines(printed.read_text("utf-8"))
    answers = {name: Answer(refused=reason) for name, reason in result["refused"].items()}
    targets = {case.id: script.types for case, script in group}
    for name, each in result["answers"].items():
        types = each["types"] or targets[name]
        as_json = each["json"] or [False] * len(types)
        try:
            changes = [(kind, tuple(cut(body, types, as_json))) for kind, body in lines.get(each["tag"], [])]
        except ValueError as error:
            answers[name] = Answer(unread=str(error))
        else:
            answers[name] = Answer(tuple(changes), tuple(types))
    return answers


_PRINTED = re.compile(r"(A\d+N\d+)> (\+I|-U|\+U|-D)\[(.*)\]\Z")


def _lines(text: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in text.split("\n"):  # not splitlines: a text may hold what Unicode takes for the end of a line
        match = _PRINTED.match(line)
        if match:
            found[match.group(1)].append((match.group(2), match.group(3)))
    return found


# ---------------------------------------------------------------- what was printed

# JSON_QUOTE leaves control characters as they are.
_DECODER = json.JSONDecoder(parse_float=lambda text: text if len(text) > 17 else float(text), strict=False)
# It writes a character beyond U+FFFF as its number, which takes five digits or six, and once more the last surrogate.
_BEYOND = re.compile(r"(?<!\\)((?:\\\\)*)\\u([0-9a-f]{5,6})\\ud[c-f][0-9a-f]{2}")


def cut(body: str, types: Sequence[str], as_json: Sequence[bool]) -> list[Json]:
    """The cells of a printed row. Raises ValueError for a text cell that holds the separator."""
    found: list[Json] = []
    body = _BEYOND.sub(lambda match: match[1] + chr(int(match[2], 16)), body)
    at = 0
    for index, (type_, is_json) in enumerate(zip(types, as_json, strict=True)):
        if is_json and (at == len(body) or body.startswith(", ", at)):
            found.append(None)  # NULL by JSON_QUOTE of a constant
        elif is_json and not body.startswith("null", at):
            value, at = _DECODER.raw_decode(body, at)
            found.append(value)
        else:
            end = body.find(", ", at) if index + 1 < len(types) else len(body)
            found.append(plain(body[at:end], type_))
            at = end
        if index + 1 < len(types):
            if not body.startswith(", ", at):
                raise ValueError(f"cannot cut the row {body!r}")
            at += 2
    if at != len(body):
        raise ValueError(f"cannot cut the row {body!r}")
    return found


def plain(text: str, type_: str) -> Json:
    """A printed cell as a case writes it."""
    root = re.match(r"\w+", type_.upper())
    assert root is not None
    if text == "null":
        return None
    if root.group(0) in ("TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT"):
        return int(text)
    if root.group(0) in ("FLOAT", "DOUBLE"):
        return text if text in ("NaN", "Infinity", "-Infinity") else float(text)
    if root.group(0) == "BOOLEAN":
        return text == "true"
    if root.group(0).startswith("TIMESTAMP"):
        day, _, time = text.removesuffix("Z").partition("T")
        clock, _, fraction = time.partition(".")
        clock = clock if clock.count(":") == 2 else f"{clock}:00"
        return f"{day} {clock}.{fraction.ljust(3, '0')}"
    return text


# ---------------------------------------------------------------- as a case expects it


def expectation(case: Case, answer: Answer) -> list[list[Json]]:
    """Flink's answer in the form of the case's `expect`. Raises ValueError when it cannot be."""
    if answer.unread:
        raise ValueError(answer.unread)
    changes = [list((kind, *row)) for kind, row in answer.changes]
    match case.expectation:
        case Expectation.CHANGELOG:
            return changes
        case Expectation.UPSERT_CHANGELOG:
            return [each for each in changes if each[0] != "-U"]
        case Expectation.APPEND:
            if any(each[0] != "+I" for each in changes):
                raise ValueError(f"expect_kind is append, and Flink updates: {changes[:6]}")
            return ordered([each[1:] for each in changes])
    return ordered(final(changes, upsert_key(case)))


def ordered(rows: list[list[Json]]) -> list[list[Json]]:
    """Rows of a multiset in an order that does not change from run to run."""
    return sorted(rows, key=lambda row: json.dumps(row))


_KEY = re.compile(r"PRIMARY\s+KEY\s*\(([^)]*)\)", re.IGNORECASE)


def upsert_key(case: Case) -> list[int]:
    """The columns of the key of what is filled."""
    script = read_script(case)
    if script.filled:
        tables = ";\n".join(each.ddl for each in case.tables)
        program, target = plan_script(("tables", tables), (case.id, case.sql))
        return list(program.tables[target].primary_key)
    if not script.insert:
        return []
    text = next((each for each in script.statements if "{print}" in each), "")
    key, declared = _KEY.search(text), _TARGET.match(text.removesuffix(" WITH ({print})"))
    if key is None or declared is None:
        return []
    parts = re.split(r",(?![^(<]*[)>])", declared.group(2))
    names = [part.split()[0].strip("`") for part in parts]
    return [names.index(each.strip(" `")) for each in key.group(1).split(",")]


def final(changes: Sequence[list[Json]], key: Sequence[int]) -> list[list[Json]]:
    """What a changelog leaves: rows as a multiset, or the last row of each key."""
    if key:
        table: dict[str, list[Json]] = {}
        for kind, *row in changes:
            name = json.dumps([row[at] for at in key])
            if kind in ("+I", "+U"):
                table[name] = row
            elif table.get(name) == row or kind == "-D":
                table.pop(name, None)
        return list(table.values())
    rows: list[list[Json]] = []
    for kind, *row in changes:
        if kind in ("+I", "+U"):
            rows.append(row)
        elif row in rows:
            rows.remove(row)
        else:
            raise ValueError(f"Flink takes back a row that is not there: {kind} {row}")
    return rows
