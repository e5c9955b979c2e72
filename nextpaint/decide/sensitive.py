"""Sensitive columns: what is known about people's health, beliefs or the like may reach no advertisement and no price.

    [sensitive]                                     # in nextpaint.toml
    columns = ["patients.illness", "quiz.answers"]
    purposes = ["advertising", "pricing"]           # what they may not be used for; these two unless said otherwise

A table that a statement writes is sensitive as a whole when the statement reads a sensitive column or table, whatever
it makes of it: a count by diagnosis is one. Views are followed. So is what a surface reads: features, filters,
retrievers. A surface that answers bids, or has one of the purposes, and reads anything sensitive is an error of the
application: it is neither checked nor applied. A price rule or a sponsored rule that looks at a sensitive feature is
refused when it is put (`features` says which those are).

Not here: which columns are sensitive (Art. 9 GDPR names the categories; a shop knows its tables), and text inside
JSON: a column of JSON is sensitive as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nextpaint.decide.bidding import Bid
from nextpaint.decide.binding import BoundSurface
from nextpaint.decide.feature import needs_of
from nextpaint.decide.requirements import Needs
from nextpaint.decide.top import Top
from nextpaint.record.errors import Diagnostic
from nextpaint.sql.narrowing import narrowed
from nextpaint.sql.plan import Filter, Node, Project, Scan, columns_of, inputs_of
from nextpaint.sql.program import Program

PURPOSES = ("advertising", "pricing")
SETTINGS = "nextpaint.toml"
_KNOWN = ("columns", "purposes")

Read = tuple[str, str]  # table, column; '' for all of it


class Sensitive:
    """What is sensitive in one application, and what follows from it. `problems`: mistakes of the declaration."""

    def __init__(self, settings: Mapping[str, Any], program: Program) -> None:
        self.problems: list[Diagnostic] = []
        declared = settings.get("sensitive", {})
        if not isinstance(declared, dict):
            declared = {}
            self._wrong("'sensitive' is no table", 'write [sensitive] and columns = ["table.column"]')
        for name in declared.keys() - set(_KNOWN):
            self._wrong(f"unknown setting sensitive.{name}", f"known: {', '.join(_KNOWN)}")
        self._columns = {
            read: ".".join(filter(None, read)) for read in self._read(declared.get("columns", []), program)
        }
        self.purposes = frozenset(self._texts("purposes", declared.get("purposes", list(PURPOSES))))
        self._tables: dict[str, str] = {}  # written by a statement that reads something sensitive -> what that is
        for insert in program.inserts if self._columns else ():  # in the order in which they depend on each other
            for read in sorted(reads_of_plan(narrowed(insert.root))):
                cause = self.cause(read)
                if cause and insert.target not in self._tables:
                    self._tables[insert.target] = cause

    def _wrong(self, what: str, cure: str) -> None:
        self.problems.append(Diagnostic(SETTINGS, 0, 0, what, cure))

    def _texts(self, name: str, given: object) -> list[str]:
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            return given
        self._wrong(f"sensitive.{name} is {given!r}"[:100], "write a list of texts")
        return []

    def _read(self, given: object, program: Program) -> Iterator[Read]:
        for text in self._texts("columns", given):
            table, _, column = text.partition(".")
            found = program.tables.get(table)
            if found is None or (column and column not in found.names):
                known = f"{table} has {', '.join(found.names)}" if found else "the first part is a table"
                self._wrong(f"there is no column {text[:80]!r}", f"write table.column; {known}")
            else:
                yield table, column

    def cause(self, read: Read) -> str:
        """The declared column that a read comes from; '' for what is not sensitive."""
        table = read[0]
        return self._tables.get(table) or self._columns.get(read) or self._columns.get((table, ""), "")

    def features(self, bound: BoundSurface) -> dict[str, str]:
        """The features of a surface that read something sensitive, and what."""
        found = {}
        for each in bound.features:
            needs = Needs(bound.surface.items)
            needs_of(bound.surface.features[each.name], needs)
            reads = {*_reads_of(needs), *((fact.table, fact.column) for fact in each.facts)}
            causes = sorted({cause for read in reads if (cause := self.cause(read))})
            if causes:
                found[each.name] = causes[0]
        return found

    def forbidden(self, bound: Mapping[str, BoundSurface]) -> list[Diagnostic]:
        """Surfaces that make advertisements or prices of what is sensitive."""
        found = []
        for name, each in bound.items():
            surface = each.surface
            bids = any(isinstance(stage, Bid) for stage in surface.filters)
            if not (bids or surface.purpose in self.purposes):
                continue
            why = "answers bids" if bids else f"has the purpose {surface.purpose!r}"
            for read in sorted({read for one in (each, *each.variants.values()) for read in _reads_of_surface(one)}):
                if cause := self.cause(read):
                    what = ".".join(filter(None, read))
                    made = "" if what == cause else f", which is made of {cause}"
                    text = f"surface {name!r} {why} and reads {what}{made}: it is sensitive"
                    cure = "leave it out of the surface, or of the statement that passes it on"
                    found.append(Diagnostic(surface.at.file, surface.at.line, 0, text, cure))
        return found


def _reads_of_surface(bound: BoundSurface) -> Iterator[Read]:
    """Everything a surface reads: what its stages need, the facts of its features and conditions, and what tables are
    sorted and chosen by."""
    yield from _reads_of(bound.surface.needs())
    for fact in bound.facts:
        yield fact.table, fact.column
    for _, stage in bound.surface.stages:
        if isinstance(stage, Top):
            yield stage.table, stage.by
            for column in stage.where:
                yield stage.table, column


def _reads_of(needs: Needs) -> Iterator[Read]:
    for table, columns in needs.live.items():
        for column in columns:
            yield table, column
    for each in needs.vectors.values():
        yield each.items, each.text
    for index in needs.cooccurrences.values():
        yield index.table, index.basket
        yield index.table, index.item
    for learner in needs.learners.values():
        yield learner.rewards, ""
    for exposure in needs.exposures.values():
        yield exposure.rewards, ""
    for table in needs.whole:
        yield table, ""


def reads_of_plan(node: Node) -> set[Read]:
    """The columns a narrowed plan reads: a scan gives all of its own, unless all that is above it are conditions and
    one projection."""
    if isinstance(node, Project):
        below: Node = node.input
        needed = frozenset[int]().union(*map(columns_of, node.exprs))
        while isinstance(below, Filter):
            needed |= columns_of(below.predicate)
            below = below.input
        if isinstance(below, Scan):
            return {(below.table, below.schema.fields[at].name) for at in needed}
    if isinstance(node, Scan):
        return {(node.table, each.name) for each in node.schema.fields}
    return {read for each in inputs_of(node) for read in reads_of_plan(each)}
