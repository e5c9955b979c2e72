"""A conformance case as a line of JSON, parsed: its tables, its statements, and the rows expected.

Everything in a line is hostile until parsed here: a wrong line is an InvalidInput that names file and line. Keys that
are not listed in docs/conformance.md are ignored, so that a case file may carry notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from nextpaint.record.errors import InvalidInput

Json = Any
KINDS = ("+I", "-U", "+U", "-D")


class Expectation(StrEnum):
    """How the rows of an answer are compared with those expected."""

    APPEND = "append"  # a multiset of rows, insertions only
    CHANGELOG = "changelog"  # a list; the first cell is the kind
    UPSERT_CHANGELOG = "upsert_changelog"  # a changelog without its -U rows
    FINAL = "final"  # the multiset that the changelog leaves behind
    REFUSED = "refused"  # no plan: Flink refuses the statement, and so must we


class Change(NamedTuple):
    """One row of a table of a case, as JSON cells in column order."""

    kind: str
    cells: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class CaseTable:
    """A declared table and its rows. `columns`, `types`: of the columns that rows give; `ddl`: the CREATE TABLE
    without options."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    ddl: str
    primary_key: tuple[str, ...]
    changes: tuple[Change, ...]
    is_changelog: bool
    images: bool = False  # its changes arrive as images before and after, though it has a key


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `feed`: (table name, row index) in the order in which rows arrive; every row once. `types`: of the
    answer's columns, as Flink prints them; none when they are not compared."""

    id: str
    area: str
    place: str
    tables: tuple[CaseTable, ...]
    sql: str
    expectation: Expectation
    expect: tuple[tuple[Json, ...], ...]
    feed: tuple[tuple[str, int], ...]
    types: tuple[str, ...] = ()

    def table(self, name: str) -> CaseTable:
        return next(each for each in self.tables if each.name == name)


class Malformed(Exception):
    """What is wrong with a line; `read_cases` adds the place."""


def read_cases(lines: Sequence[str], file: str) -> list[Case]:
    """All cases of a file. Blank lines and lines that start with `#` or `//` are skipped.

    Raises InvalidInput that lists every malformed line by `file:line`.
    """
    cases: list[Case] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith(("#", "//")):
            continue
        place = f"{file}:{number}"
        try:
            case = parse_case(msgspec.json.decode(line), place)
            if case.id in seen:
                raise Malformed(f"the id {case.id!r} is taken by line {seen[case.id]}")
            seen[case.id] = number
            cases.append(case)
        except (Malformed, msgspec.DecodeError) as error:
            wrong.append(f"{place}: {error}")
    if wrong:
        count = f"{len(wrong)} malformed line{'s' if len(wrong) != 1 else ''}"
        raise InvalidInput(count, where="\n" + "\n".join(wrong), cure="docs/conformance.md describes a line")
    return cases


def parse_case(value: Json, place: str) -> Case:
    """A decoded line as a case. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("a case is a JSON object")
    tables = tuple(_table(each) for each in _listed(value, "tables"))
    names = [each.name for each in tables]
    if len(set(names)) < len(names):
        raise Malformed("two tables have one name")
    kind = _text(value, "expect_kind")
    if kind not in set(Expectation):
        raise Malformed(f"expect_kind is {kind!r}; it is one of {', '.join(Expectation)}")
    refused = kind == Expectation.REFUSED
    expect = tuple(_expected(row, kind) for row in (() if refused else _listed(value, "expect")))
    return Case(
        str(value.get("id", place)),
        str(value.get("area", "unsorted")),
        place,
        tables,
        _sql(value),
        Expectation(kind),
        expect,
        tuple(_feed(value.get("feed"), tables)),
        tuple(str(each) for each in value.get("types") or ()),
    )


def _text(value: Mapping[str, Json], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found.strip():
        raise Malformed(f"{name!r} is missing or not text")
    return found


def _listed(value: Mapping[str, Json], name: str) -> list[Json]:
    found = value.get(name)
    if not isinstance(found, list):
        raise Malformed(f"{name!r} is missing or not a list")
    return found


def _sql(value: Mapping[str, Json]) -> str:
    found = value.get("sql")
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return ";\n".join(found)
    return _text(value, "sql")


def _expected(row: Json, kind: str) -> tuple[Json, ...]:
    if not isinstance(row, list):
        raise Malformed(f"an expected row is a list, not {str(row)[:40]}")
    if kind in (Expectation.CHANGELOG, Expectation.UPSERT_CHANGELOG) and (not row or row[0] not in KINDS):
        raise Malformed(f"a row of a changelog starts with its kind, one of {', '.join(KINDS)}: {str(row)[:60]}")
    return tuple(row)


# ---------------------------------------------------------------- tables


def _table(value: Json) -> CaseTable:
    if not isinstance(value, dict):
        raise Malformed("a table is a JSON object")
    name = _text(value, "name")
    definitions = [_definition(each) for each in _listed(value, "columns")]
    columns = tuple(column for column, _, _ in definitions)
    given = [(column, rest) for column, rest, computed in definitions if not computed]
    stored = [column for column, _ in given]
    mode = value.get("changelog_mode") or "I"
    kinds = {each.strip() for each in (mode if isinstance(mode, list) else str(mode).split(","))}
    is_changelog = kinds != {"I"}
    key = value.get("primary_key") or []
    primary_key = tuple(each.strip(" `") for each in (key.split(",") if isinstance(key, str) else key))
    if unknown := set(primary_key) - set(columns):
        raise Malformed(f"the primary key of {name} names unknown columns: {', '.join(sorted(unknown))}")
    parts = [f"{quoted(column)} {rest}" for column, rest, _ in definitions]
    if value.get("watermark"):
        parts.append(_watermark(value["watermark"], name, definitions))
    if primary_key:
        parts.append(f"PRIMARY KEY ({', '.join(map(quoted, primary_key))}) NOT ENFORCED")
    ddl = f"CREATE TABLE {quoted(name)} ({', '.join(parts)})"
    rows = tuple(_change(row, name, stored, is_changelog) for row in _listed(value, "rows"))
    return CaseTable(name, tuple(stored), tuple(rest for _, rest in given), ddl, primary_key, rows, is_changelog,
                     bool(value.get("images")))  # fmt: skip


def quoted(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("`", "``") + "`"


_DEFINITION = re.compile(r"\s*(?:`((?:[^`]|``)+)`|(\w+))\s+(.+)\Z", re.DOTALL)


def _definition(value: Json) -> tuple[str, str, bool]:
    """(name, the rest of the definition, whether it is computed) of "c TYPE", or of an object with name and type."""
    if isinstance(value, dict):
        return _text(value, "name"), _text(value, "type"), False
    found = _DEFINITION.match(value) if isinstance(value, str) else None
    if found is None:
        raise Malformed(f'a column is written "name TYPE", not {str(value)[:40]!r}')
    name = found.group(1).replace("``", "`") if found.group(1) else found.group(2)
    return name, found.group(3).strip(), bool(re.match(r"AS\b", found.group(3), re.IGNORECASE))


_FULL_WATERMARK = re.compile(r"\s*(?:WATERMARK\s+)?(?:FOR\s+)?(`[^`]+`|\w+)\s+AS\s+(.+)\Z", re.IGNORECASE | re.DOTALL)
_WORDS = re.compile(r"'[^']*'|`([^`]+)`|(\w+)")


def _watermark(value: Json, table: str, definitions: Sequence[tuple[str, str, bool]]) -> str:
    """A WATERMARK clause from any of: `ts AS expression`, with or without WATERMARK FOR; an expression over one time
    column; a column; or {"column": c, "expression": e}."""
    if isinstance(value, dict):
        column = _text(value, "column")
        return f"WATERMARK FOR {quoted(column)} AS {value.get('expression') or quoted(column)}"
    if not isinstance(value, str):
        raise Malformed(f"the watermark of {table} is not text")
    full = _FULL_WATERMARK.match(value)
    if full is not None:
        return f"WATERMARK FOR {full.group(1)} AS {full.group(2)}"
    names = [column for column, _, _ in definitions]
    for words in _WORDS.finditer(value):
        word = words.group(1) or words.group(2)
        if word in names:
            return f"WATERMARK FOR {quoted(word)} AS {value}"
    times = [column for column, rest, _ in definitions if rest.upper().startswith("TIMESTAMP")]
    interval = re.match(r"\s*-?\s*(INTERVAL\b.+)\Z", value, re.IGNORECASE | re.DOTALL)
    if interval is None or len(times) != 1:
        raise Malformed(f"the watermark of {table} names none of its columns: {value[:60]!r}")
    return f"WATERMARK FOR {quoted(times[0])} AS {quoted(times[0])} - {interval.group(1)}"


def _change(row: Json, table: str, columns: Sequence[str], is_changelog: bool) -> Change:
    if isinstance(row, dict):
        return Change("+I", tuple(row.get(column) for column in columns))
    if not isinstance(row, list):
        raise Malformed(f"a row of {table} is a list, not {str(row)[:40]}")
    kind, cells = (row[0], row[1:]) if is_changelog and row else ("+I", row)
    if kind not in KINDS:
        raise Malformed(f"a row of the changelog {table} starts with its kind: {str(row)[:60]}")
    if len(cells) != len(columns):
        raise Malformed(f"a row of {table} has {len(cells)} cells for {len(columns)} columns: {str(row)[:60]}")
    return Change(kind, tuple(cells))


# ---------------------------------------------------------------- the order of arrival


def _feed(value: Json, tables: Sequence[CaseTable]) -> Iterator[tuple[str, int]]:
    """Every row once: those that `feed` names in its order, then what it leaves out, table by table."""
    left = {each.name: list(range(len(each.changes))) for each in tables}
    if not isinstance(value, list | None):
        raise Malformed("feed is a list of table names or of [table, row index]")
    for each in value or ():
        match each:
            case str() as name if left.get(name):
                yield name, left[name].pop(0)
            case [str() as name, int() as index] if index in left.get(name, ()):
                left[name].remove(index)
                yield name, index
            case _:
                raise Malformed(f"feed names {each!r}, which is no row of these tables or was fed already")
    for name, indices in left.items():
        for index in indices:
            yield name, index
