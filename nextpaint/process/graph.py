"""From a plan to running operators: one operator per distinct sub-plan, in topological order.

An operator's identity is a hash of its canonical sub-plan, including the definitions of the tables it reads: text
that means the same gives the same identity, so its state carries over when an application changes; any edit gives
another. Statements share equal sub-plans. An INSERT's rows reach its consumers in the same step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from nextpaint.process.operators import choice
from nextpaint.process.operators.arrival_time import TimedByArrival
from nextpaint.process.operators.conflicts import ConflictingRows
from nextpaint.process.operators.expand import Expand
from nextpaint.process.operators.exposures import Exposures
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.learning import EXPLORED_FIELDS, LearnerSpec, Learning
from nextpaint.process.operators.lookup import LookupJoin
from nextpaint.process.operators.match import PatternMatch
from nextpaint.process.operators.protocol import Operator
from nextpaint.process.operators.set_operation import SetComparison
from nextpaint.process.operators.stateless import ChangesAsRows, Filter, Forward, Project, RowsThatChange, Union
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.operators.time_sort import SortByTime
from nextpaint.process.operators.together import BoughtTogether
from nextpaint.process.operators.values import ConstantRows
from nextpaint.process.operators.vectors import TextVectors
from nextpaint.process.operators.watermark_column import WatermarkBeside
from nextpaint.process.operators.window_rank import WindowTopN
from nextpaint.process.operators.window_table import window_table
from nextpaint.process.sources import Explode, Exploding, Source
from nextpaint.process.state import State
from nextpaint.process.watermarks import SourceSettings
from nextpaint.record.types import BIGINT, BYTES, STRING, Field
from nextpaint.sql import plan
from nextpaint.sql.narrowing import narrowed
from nextpaint.sql.plan import At, Node, WindowKind, inputs_of
from nextpaint.sql.program import Insert, Program, Table
from nextpaint.sql.settings import duration_ms

VECTORS = Table("_vectors", (Field("content", STRING), Field("vector", BYTES)))
EXPLORED = Table("_explored", EXPLORED_FIELDS)


@dataclass(frozen=True, slots=True)
class Together:
    """A co-purchase index over a table: read as rows of `name` by item."""

    name: str
    table: str
    basket: str
    item: str
    others_max: int = 100


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Vectors of a text column of an item table, read as `name`."""

    name: str
    table: str
    item: str
    text: str


@dataclass(frozen=True, slots=True)
class Learner:
    """What a surface's exploration learns, read as `name`. `trials` and `rewards`: tables of statements that feed
    nothing else, so their rows are not put out."""

    name: str
    trials: str
    rewards: str
    spec: LearnerSpec


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who is shown which variant of an experiment, read as `name`; fed like a `Learner`, and from `decisions`."""

    name: str
    trials: str
    rewards: str
    within_ms: int
    keep_ms: int


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A table that is a view of another topic: `explode` turns one record of it into rows. `word`: as in
    `sources.Exploding`."""

    table: Table
    topic: str
    explode: Explode | None = None
    word: bytes = b""


@dataclass(frozen=True, slots=True)
class Design:
    """All that runs: an application's program, built-in tables, and the indexes its surfaces need."""

    program: Program
    built_in: tuple[BuiltIn, ...] = ()
    together: tuple[Together, ...] = ()
    vectors: tuple[VectorTable, ...] = ()
    learners: tuple[Learner, ...] = ()
    exposures: tuple[Exposure, ...] = ()


@dataclass(slots=True)
class Stage:
    """An operator with the stages that feed it."""

    operator: Operator
    inputs: tuple[Stage, ...] = ()
    target: str | None = None  # the INSERT target whose rows this stage's output is


@dataclass(slots=True)
class Graph:
    """Stages in topological order; sources first."""

    state: State
    sources: dict[str, Source] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    targets: dict[str, Stage] = field(default_factory=dict)
    together: dict[str, BoughtTogether] = field(default_factory=dict)
    vectors: dict[str, TextVectors] = field(default_factory=dict)
    learners: dict[str, Learning] = field(default_factory=dict)
    exposures: dict[str, Exposures] = field(default_factory=dict)
    by_topic: dict[str, list[str]] = field(default_factory=dict)
    derived_from: frozenset[str] = frozenset()  # tables that statements, indexes or learners read

    def operators(self) -> list[Operator]:
        tables = [source.rows_table for source in self.sources.values() if source.rows_table is not None]
        return [*self.sources.values(), *tables, *(stage.operator for stage in self.stages)]

    def table(self, name: str) -> MaterialisedTable | None:
        """The materialised table of this name, declared or INSERT target."""
        if name in self.targets:
            operator = self.targets[name].operator
            return operator if isinstance(operator, MaterialisedTable) else None
        source = self.sources.get(name)
        return source.rows_table if source is not None else None


def fingerprint(value: Any, tables: dict[str, str], shown: dict[int, str] | None = None) -> str:
    """Canonical text of a plan, without positions; a Scan stands for the definition of its table. `shown`: texts of
    nodes below that are known already, by identity."""
    if shown and id(value) in shown:
        return shown[id(value)]
    if isinstance(value, plan.Scan):
        return f"Scan({value.table}:{tables.get(value.table, '')})"
    if isinstance(value, At):
        return ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = (
            f"{each.name}={fingerprint(getattr(value, each.name), tables, shown)}"
            for each in dataclasses.fields(value)
            if each.name != "at"
        )
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(fingerprint(each, tables, shown) for each in value) + "]"
    return repr(value)


def digest(text: str) -> str:
    """A short name for a canonical text: 48 bits of BLAKE2b, hex."""
    return blake2b(text.encode(), digest_size=6).hexdigest()


Maker = Callable[[str, Any, Sequence[Operator], State], Operator]

_OPERATORS: dict[type, tuple[str, Maker]] = {
    plan.Values: ("values", ConstantRows),
    plan.Filter: ("filter", Filter),
    plan.Project: ("project", Project),
    plan.Union: ("union", Union),
    plan.OverAggregate: ("over", choice.over),
    plan.WindowTable: ("window_table", window_table),
    plan.WindowedAggregate: ("windowed", choice.window),
    plan.Rank: ("top", choice.top),
    plan.Deduplicate: ("dedup", choice.deduplication),
    plan.Conflicts: ("conflicts", ConflictingRows),
    plan.WindowRank: ("window_rank", WindowTopN),
    plan.SetOperation: ("set", SetComparison),
    plan.TimeSort: ("sort", SortByTime),
    plan.TemporalJoin: ("temporal", choice.temporal),
    plan.LookupJoin: ("lookup", LookupJoin),
    plan.Join: ("join", choice.join),
    plan.IntervalJoin: ("interval", choice.interval),
    plan.WindowJoin: ("window_join", choice.window_join),
    plan.Expand: ("expand", Expand),
    plan.ChangeLog: ("changelog", ChangesAsRows),
    plan.RowsAsChanges: ("changes", RowsThatChange),
    plan.ArrivalTime: ("arrival_time", TimedByArrival),
    plan.WatermarkColumn: ("watermark", WatermarkBeside),
    plan.Match: ("match", PatternMatch),
}


class _Builder:
    def __init__(self, design: Design, state: State) -> None:
        self._design = design
        self._definitions: dict[str, str] = {}
        self._made: dict[str, Stage] = {}
        self._texts: dict[int, tuple[Node, str]] = {}  # by identity; the node is kept so that its id stays its own
        self._rows_of: set[str] = set()  # texts of the group aggregates whose rows somebody reads
        self._feeding = {name for each in design.learners for name in (each.trials, each.rewards)}
        self._feeding |= {name for each in design.exposures for name in (each.trials, each.rewards)}
        indexed = {each.table for each in design.together} | {each.table for each in design.vectors} | self._feeding
        self._scanned = {name for insert in design.program.inserts for name in scans(insert.root)} | indexed
        self._settings = source_settings(design.program.settings)
        self._built_in = {each.table.name: each for each in (*design.built_in, BuiltIn(VECTORS, VECTORS.name))}
        self.graph = Graph(state, derived_from=frozenset(self._scanned))

    def build(self) -> Graph:
        program, settings = self._design.program, self._settings
        written = {insert.target for insert in program.inserts}
        for name, table in program.tables.items():
            if name in written:
                continue
            self._definitions[name] = digest(fingerprint(table, {}) + fingerprint(settings, {}))
            if table.primary_key:
                self._source(name)
        inserts = [dataclasses.replace(insert, root=narrowed(insert.root)) for insert in program.inserts]
        identities = [self._identity(insert) for insert in inserts]
        self._rows_of = {text for insert in inserts for text in self._read_rows(insert)}
        for insert, identity in zip(inserts, identities, strict=True):
            self._insert(insert, identity)
        self._indexes()
        return self.graph

    def _source(self, name: str) -> Source:
        """The source of a declared or built-in table: made when something reads it, or when it is materialised."""
        if name not in self.graph.sources:
            view = self._built_in.get(name) or BuiltIn(self._design.program.tables[name], name)
            settings = SourceSettings() if name == VECTORS.name else self._settings
            explode = Exploding(view.explode, view.word) if view.explode is not None else None
            self.graph.sources[name] = Source(view.table, view.topic, explode, settings, self.graph.state)
            self.graph.by_topic.setdefault(view.topic, []).append(name)
        return self.graph.sources[name]

    def _insert(self, insert: Insert, identity: str) -> None:
        table = self._design.program.tables[insert.target]
        grouped = self._grouped(insert, table, identity)
        if grouped is not None:
            self.graph.stages.append(grouped)
            self.graph.targets[table.name] = grouped
            return
        root = self._stage(insert.root)
        if table.primary_key:
            operator: Operator = choice.table(
                f"table/{table.name}/{identity}", table.fields, table.primary_key, [root.operator], self.graph.state,
                quiet=table.name not in self._scanned,
            )  # fmt: skip
        else:
            operator = Forward(f"topic/{table.name}/{identity}", [each.type for each in table.fields], [root.operator])
        stage = Stage(operator, (root,), None if table.name in self._feeding else table.name)
        self.graph.stages.append(stage)
        self.graph.targets[table.name] = stage

    def _grouping(self, insert: Insert) -> tuple[plan.GroupAggregate, list[plan.Project], list[int]] | None:
        """Where a table is plain projections over a group aggregate by exactly its primary key and read by no
        statement: the aggregate, the projections above it, and the group key that each column of the primary key is.
        The values of such a table are finished when they are read."""
        table = self._design.program.tables[insert.target]
        traced: list[int | None] = list(range(len(table.fields)))
        node, chain = insert.root, list[plan.Project]()
        while isinstance(node, plan.Project):
            picks = [node.exprs[at] if at is not None else None for at in traced]
            traced = [pick.index if isinstance(pick, plan.ColumnRef) else None for pick in picks]
            chain.append(node)
            node = node.input
        keys = [each for at in table.primary_key if (each := traced[at]) is not None]
        if (
            not table.primary_key or table.name in self._scanned
            or not isinstance(node, plan.GroupAggregate) or not chain or node.ttl_ms
            or len(table.primary_key) != len(node.keys)
            or sorted(keys) != list(range(len(node.keys)))
        ):  # fmt: skip
            return None
        return node, chain, keys

    def _grouped(self, insert: Insert, table: Table, identity: str) -> Stage | None:
        found = self._grouping(insert)
        if found is None:
            return None
        node, chain, keys = found
        stage = self._stage(node)
        operator = stage.operator
        assert isinstance(operator, GroupAggregate)
        above: Operator = operator
        for number, each in enumerate(reversed(chain)):
            above = Project(f"read/{identity}/{number}", each, [above], self.graph.state)
        made = choice.grouped_table(
            f"table/{table.name}/{identity}", table.fields, table.primary_key, [above], operator, self.graph.state
        )
        made.bind(tuple(keys.index(at) for at in range(len(node.keys))))
        return Stage(made, (stage,), table.name)

    def _identity(self, insert: Insert) -> str:
        """What a statement is called, from what it says; those it reads were asked before."""
        table = self._design.program.tables[insert.target]
        made = self._definitions[table.name] = digest(self._text(insert.root) + fingerprint(table, {}))
        return made

    def _read_rows(self, insert: Insert) -> set[str]:
        """The group aggregates of a statement whose rows somebody reads; of the others only keys are wanted."""
        found = self._grouping(insert)
        open_ = [found[0].input if found is not None else insert.root]
        texts = set()
        while open_:
            node = open_.pop()
            if isinstance(node, plan.GroupAggregate):
                texts.add(self._text(node))
            open_ += inputs_of(node)
        return texts

    def _text(self, node: Node) -> str:
        """The fingerprint of a sub-plan, made once: nodes are shared, and a tree is asked for at every level."""
        known = self._texts.get(id(node))
        if known is None or known[0] is not node:
            shown = {id(each): self._text(each) for each in inputs_of(node)}
            known = self._texts[id(node)] = (node, fingerprint(node, self._definitions, shown))
        return known[1]

    def _stage(self, node: Node) -> Stage:
        """The stage of a sub-plan; a Scan is its source, or the target it reads."""
        if isinstance(node, plan.Scan):
            if node.table in self.graph.targets:
                return self.graph.targets[node.table]
            return Stage(self._source(node.table))
        text = self._text(node)
        if text not in self._made:
            inputs = tuple(self._stage(each) for each in inputs_of(node))
            sources = [each.operator for each in inputs]
            operator: Operator
            if isinstance(node, plan.GroupAggregate):
                quiet = text not in self._rows_of
                operator = choice.group(f"group/{digest(text)}", node, sources, self.graph.state, quiet=quiet)
            else:
                kind, make = self._maker(node)
                operator = make(f"{kind}/{digest(text)}", node, sources, self.graph.state)
            self._made[text] = Stage(operator, inputs)
            self.graph.stages.append(self._made[text])
        return self._made[text]

    def _maker(self, node: Node) -> tuple[str, Maker]:
        if isinstance(node, plan.WindowAggregate):
            session = node.window.kind is WindowKind.SESSION
            return ("session", choice.session) if session else ("window", choice.window)
        return _OPERATORS[type(node)]

    def _indexes(self) -> None:
        tables = self._design.program.tables
        for index in self._design.together:
            table = tables[index.table]
            columns = (table.names.index(index.basket), table.names.index(index.item))
            source = self._stage(plan.Scan(plan.Schema(table.fields), index.table))
            identity = digest(repr(index) + self._definitions[index.table])
            types = (STRING, STRING, BIGINT)
            together = BoughtTogether(f"together/{identity}", types, columns, index.others_max, self.graph.state)
            self.graph.together[index.name] = together
            self.graph.stages.append(Stage(together, (source,)))
        for vectors in self._design.vectors:
            table = tables[vectors.table]
            columns = (table.names.index(vectors.item), table.names.index(vectors.text))
            items = self._stage(plan.Scan(plan.Schema(table.fields), vectors.table))
            arrived = Stage(self._source(VECTORS.name))
            identity = digest(repr(vectors) + self._definitions[vectors.table])
            operator = TextVectors(f"vectors/{identity}", columns, self.graph.state)
            self.graph.vectors[vectors.name] = operator
            self.graph.stages.append(Stage(operator, (items, arrived)))
        for each in self._design.learners:
            self._learner(each)
        for exposure in self._design.exposures:
            self._exposure(exposure)

    def _learner(self, learner: Learner) -> None:
        feeds = [self.graph.targets[name] for name in (learner.trials, learner.rewards)]
        identity = digest(
            repr(learner) + "".join(self._definitions[name] for name in (learner.trials, learner.rewards))
        )
        operator = Learning(f"learned/{identity}", learner.name, learner.spec, self.graph.state)
        self.graph.learners[learner.name] = operator
        self.graph.stages.append(Stage(operator, (Stage(self._source(EXPLORED.name)), *feeds)))

    def _exposure(self, exposure: Exposure) -> None:
        feeds = [self.graph.targets[name] for name in (exposure.trials, exposure.rewards)]
        made_of = "".join(self._definitions[name] for name in (exposure.trials, exposure.rewards))
        identity = digest(repr(exposure) + made_of)
        operator = Exposures(
            f"exposed/{identity}", exposure.name, exposure.within_ms, exposure.keep_ms, self.graph.state
        )
        self.graph.exposures[exposure.name] = operator
        self.graph.stages.append(Stage(operator, (Stage(self._source("decisions")), *feeds)))


def scans(node: Node) -> set[str]:
    """The tables a plan reads."""
    if isinstance(node, plan.Scan):
        return {node.table}
    return {name for each in inputs_of(node) for name in scans(each)}


def source_settings(settings: dict[str, str]) -> SourceSettings:
    """The `SET` options that concern sources."""
    return SourceSettings(
        idle_timeout_ms=duration_ms(settings.get("table.exec.source.idle-timeout", "0")),
        idle_advance_ms=duration_ms(settings.get("nextpaint.idle-advance", "0")),
    )


def build(design: Design) -> Graph:
    """Make the operators of a design over a fresh state."""
    return _Builder(design, State()).build()
