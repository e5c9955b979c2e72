"""What an application's statements declare: tables, views, functions, models and settings by name, in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nextpaint.sql import definitions
from nextpaint.sql.definitions import ColumnDefinition, CreateTable
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.likeness import merged
from nextpaint.sql.plan import At
from nextpaint.sql.program import Table
from nextpaint.sql.refusal import AlreadyReported, Refusal, near
from nextpaint.sql.syntax import Binary, Expression, Ident, IntervalLiteral, Name
from nextpaint.sql.tables import build_table


@dataclass
class Declarations:
    """By name, `tables` without those of `unfilled`. A name that fails is in `broken`: its readers are not reported
    again."""

    tables: dict[str, Table]
    broken: set[str]
    findings: list[Refusal]
    # CREATE TABLE AS, and LIKE one: the columns come with the query
    unfilled: dict[str, CreateTable] = field(default_factory=dict)
    views: dict[str, definitions.CreateView] = field(default_factory=dict)
    functions: dict[str, definitions.CreateFunction] = field(default_factory=dict)
    models: dict[str, definitions.CreateModel] = field(default_factory=dict)


def declare(
    statements: Sequence[definitions.Statement], builtins: Mapping[str, Table], broken: set[str], found: list[Refusal]
) -> Declarations:
    """Everything CREATE statements declare; `found` gets what is wrong."""
    made = Declarations(dict(builtins), broken, found)
    places: dict[str, At] = {}
    tables: dict[str, CreateTable] = {}
    for statement in statements:
        if isinstance(statement, definitions.DropIfExists):
            _check_drop(statement, places, found)
        if not isinstance(
            statement, CreateTable | definitions.CreateView | definitions.CreateFunction | definitions.CreateModel
        ):
            continue
        name = _named(statement, builtins, places, found)
        if name is None:
            continue
        broken.discard(name)
        match statement:
            case definitions.CreateView():
                made.views[name] = statement
            case definitions.CreateFunction():
                made.functions[name] = statement
            case definitions.CreateModel():
                made.models[name] = statement
            case _:
                tables[name] = statement
    merging = _Merging(tables, builtins)
    for name in tables:
        if _is_filled(name, tables):
            made.unfilled[name] = tables[name]
            continue
        try:
            made.tables[name] = build_table(merging.of(name))
        except Refusal as refusal:
            broken.add(name)
            found.append(refusal)
        except AlreadyReported:
            broken.add(name)
    return made


def _named(
    statement: CreateTable | definitions.CreateView | definitions.CreateFunction | definitions.CreateModel,
    builtins: Mapping[str, Table],
    places: dict[str, At],
    found: list[Refusal],
) -> str | None:
    """The name, if this statement is the one that declares it."""
    name = statement.name.text
    if name in builtins:
        found.append(Refusal(f"{name} is built in", statement.name.at, "choose another name"))
        return None
    if name in places:
        filled = isinstance(statement, CreateTable) and statement.filling is not None
        if filled or not statement.if_not_exists:
            found.append(
                Refusal(f"{name} is declared twice (first at {places[name]})", statement.name.at, "rename one")
            )
        return None
    places[name] = statement.name.at
    return name


def _check_drop(drop: definitions.DropIfExists, places: Mapping[str, At], found: list[Refusal]) -> None:
    """A DROP at the head of a script does nothing; one after its CREATE would undo it."""
    declared = places.get(drop.name.text)
    if declared is not None and declared.file == drop.at.file:
        found.append(
            Refusal(f"DROP comes after CREATE of {drop.name.text}", drop.at, "remove the statement you do not mean")
        )


def _is_filled(name: str, tables: Mapping[str, CreateTable]) -> bool:
    """Does a query give the table its columns: its own, or that of a table it is LIKE?"""
    seen: set[str] = set()
    while name in tables and name not in seen:
        seen.add(name)
        like = tables[name].like
        if like is None:
            return tables[name].filling is not None
        name = like.source.text
    return False


class _Merging:
    """Definitions with their LIKE resolved, whatever the order."""

    def __init__(self, tables: Mapping[str, CreateTable], builtins: Mapping[str, Table]) -> None:
        self._tables = tables
        self._builtins = builtins
        self._done: dict[str, CreateTable] = {}
        self._open: list[str] = []

    def of(self, name: str) -> CreateTable:
        """Raises Refusal, or AlreadyReported when the table it is like is wrong itself."""
        if name in self._done:
            return self._done[name]
        definition = self._tables[name]
        if definition.like is not None:
            source = definition.like.source
            if source.text in self._open or source.text == name:
                raise Refusal(f"{name} is declared LIKE itself", source.at, "write the columns of one of them")
            self._open.append(name)
            try:
                definition = merged(definition, self._base(source))
            finally:
                self._open.pop()
        self._done[name] = definition
        return definition

    def _base(self, source: Ident) -> CreateTable:
        if source.text in self._tables:
            return self.of(source.text)
        if source.text in self._builtins:
            return _definition(self._builtins[source.text])
        raise Refusal(f"unknown table {source.text}", source.at, near(source.text, [*self._tables, *self._builtins]))


def _definition(table: Table) -> CreateTable:
    """A built-in table as it would be written."""
    columns = tuple(ColumnDefinition(Ident(each.name), each.type, not each.nullable) for each in table.fields)
    watermark: tuple[Ident, Expression] | None = None
    if table.watermark is not None:
        column = Ident(table.fields[table.watermark.column].name)
        delay = IntervalLiteral(table.watermark.delay_ms, False)
        watermark = column, Binary("-", Name((column,)), delay)
    key = tuple(Ident(table.fields[index].name) for index in table.primary_key)
    return CreateTable(Ident(table.name), columns, watermark, key, table.options, False)


def unparsed_names(sources: Sequence[tuple[str, str]]) -> set[str]:
    """Names after CREATE TABLE or VIEW, also of statements that do not parse."""
    names: set[str] = set()
    for file, text in sources:
        try:
            tokens = tokenize(text, file)
        except Refusal:
            continue
        for index, token in enumerate(tokens[:-1]):
            if token.upper in ("TABLE", "VIEW") and index and tokens[index - 1].upper in ("CREATE", "TEMPORARY"):
                skip = 3 if tokens[index + 1].upper == "IF" else 0
                names.add(tokens[min(index + 1 + skip, len(tokens) - 1)].text)
    return names


def settings_of(statements: Sequence[definitions.Statement], found: list[Refusal]) -> dict[str, str]:
    """What SET leaves; RESET takes back what its own file set above."""
    settings: dict[str, definitions.SetOption] = {}
    for statement in statements:
        if isinstance(statement, definitions.ResetOption):
            for key, held in list(settings.items()):
                if statement.key in ("", key) and held.at.file == statement.at.file:
                    del settings[key]
        if isinstance(statement, definitions.SetOption):
            held_before = settings.get(statement.key)
            if held_before is not None and held_before.value != statement.value:
                found.append(Refusal(f"'{statement.key}' is set to two values", statement.at, "keep one SET"))
            settings[statement.key] = statement
    return {key: held.value for key, held in settings.items()}
