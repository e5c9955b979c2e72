"""Live readings: a table's final rows with the rows still held upstream applied, as of a time.

live(T, P, t) is the content of T if the input had ended after position P, evaluated as of t. It is computed on read,
for the keys asked. It is granted where the read key reaches every operator that holds rows back (`Reach`); elsewhere
a table is final only.

As-of rules, by what a table's rows are made of:
* `decay`: rows of a group aggregate (through projections and filters): finished from the accumulators as of t;
* `recount`: an OVER RANGE frame whose columns are copied: recounted over (t - range, t];
* `as is`: everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nextpaint.process.backlog import FirstColumns
from nextpaint.process.followed import Followed
from nextpaint.process.mirror import Fading, TableMirror
from nextpaint.process.operators.arrival_time import TimedByArrival
from nextpaint.process.operators.conflicts import ConflictingRows
from nextpaint.process.operators.dedup import FirstArrival, FirstRow, LastRow
from nextpaint.process.operators.expand import Expand
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.interval import IntervalJoin
from nextpaint.process.operators.join import Join
from nextpaint.process.operators.lookup import LookupJoin
from nextpaint.process.operators.match import PatternMatch
from nextpaint.process.operators.over import OverAggregation
from nextpaint.process.operators.protocol import Change, Operator, Row
from nextpaint.process.operators.session import SessionAggregation
from nextpaint.process.operators.set_operation import SetComparison
from nextpaint.process.operators.stateless import ChangesAsRows, Filter, Forward, Project, RowsThatChange, Union
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.operators.temporal import TemporalJoin
from nextpaint.process.operators.time_sort import SortByTime
from nextpaint.process.operators.top import TopN
from nextpaint.process.operators.value_over import ValueOver
from nextpaint.process.operators.watermark_column import WatermarkBeside
from nextpaint.process.operators.window import WindowAggregation
from nextpaint.process.operators.window_join import WindowJoin
from nextpaint.process.operators.window_rank import WindowTopN
from nextpaint.process.operators.window_table import SessionTable, WindowTableFunction
from nextpaint.process.reading import Learned, Vectors
from nextpaint.process.runner import Runner
from nextpaint.process.vector_mirror import VectorMirror
from nextpaint.record.columns import DELETE, INSERT, UPDATE_BEFORE, Column, IntArray, Value

PORTION = 512  # keys taken in between two turns of the state thread: two milliseconds
BEHIND_MAX = 256  # changed keys of a table that wait for the next reading: about a millisecond of its time
Mirror = TableMirror | VectorMirror
Follower = TableMirror | VectorMirror | FirstColumns
HOLDING = (
    OverAggregation,
    TemporalJoin,
    IntervalJoin,
    WindowJoin,
    PatternMatch,
    WindowAggregation,
    SessionAggregation,
    SessionTable,
    WindowTopN,
    FirstRow,
    SortByTime,
)

KEEPING = (
    GroupAggregate,
    ConflictingRows,
    TopN,
    ValueOver,
    LastRow,
    FirstArrival,
    FirstRow,
    SetComparison,
)  # and say how much


@dataclass(frozen=True, slots=True)
class Reach:
    """How a table is read: live by key or final only, live as a whole or not, and its as-of rule."""

    by_key: bool
    whole: bool
    as_of: str  # "decay" | "recount" | "as is"


class LiveTable:
    """Reads one materialised table."""

    def __init__(self, table: MaterialisedTable) -> None:
        self.table = table
        self._chain: list[Project | Filter] = []
        operator = table.source
        while isinstance(operator, Project | Filter):
            self._chain.append(operator)
            operator = operator._source  # noqa: SLF001  one room, one chain
        self._base = operator
        self.group = operator if isinstance(operator, GroupAggregate) else None
        grouped = isinstance(operator, GroupAggregate) and not operator.expires
        self._group_key = self._traced_key() if grouped else None
        self._recounted = self._recounted_columns() if isinstance(operator, OverAggregation) else {}
        self.reach = Reach(self._reaches(), not _holds(table.source), self._as_of())
        self._mirror: TableMirror | None = None
        self._by_first: FirstColumns | None = None

    # ------------------------------------------------------------ analysis

    def _traced(self, column: int) -> int | None:
        """The base column a table column is a plain copy of."""
        index: int | None = column
        for step in self._chain:
            if isinstance(step, Project) and index is not None:
                index = step.source_of(index)
        return index

    def _traced_key(self) -> tuple[int, ...] | None:
        """For each group key column, the table column that copies it; None when one is missing."""
        assert isinstance(self._base, GroupAggregate)
        traced = {self._traced(column): column for column in self.table.key}
        columns = [traced.get(position) for position in range(len(self._base.keys))]
        known = tuple(column for column in columns if column is not None)
        return known if len(known) == len(columns) == len(self.table.key) else None

    def _recounted_columns(self) -> dict[int, int]:
        """Table column -> aggregate of a RANGE frame it copies; empty where the partition key is not the table's."""
        assert isinstance(self._base, OverAggregation)
        width = len(self._base.types) - len(self._base.node.aggregates)
        traced = {column: self._traced(column) for column in range(len(self.table.types))}
        partition = {traced[column] for column in self.table.key}
        if not self._base.recounts or partition != set(self._base.node.partition):
            return {}
        return {column: base - width for column, base in traced.items() if base is not None and base >= width}

    def _reaches(self) -> bool:
        return _reach(self.table.source, set(self.table.key))

    @property
    def bound(self) -> str:
        """What keeps this table's state from growing for ever, in words."""
        keys = ", ".join(self.table.names[column] for column in self.table.key)
        held = "; rows wait for the watermark" if _holds(self.table.source) else ""
        kept = "".join(f"; {each}" for each in dict.fromkeys(_kept(self.table.source)))
        return f"one row per {keys}{kept}{held}"

    @property
    def held(self) -> int:
        """Rows upstream that wait for the watermark: live readings have them already, the final rows do not."""
        return _held(self.table.source)

    def _as_of(self) -> str:
        if self._group_key is not None and isinstance(self._base, GroupAggregate) and self._base.accumulators.fades:
            return "decay"
        return "recount" if self._recounted else "as is"

    # ------------------------------------------------------------ rows

    def row(self, key: Row, as_of: int) -> Row | None:
        return self.rows(key, as_of).get(key)

    def rows(self, prefix: Row, as_of: int) -> dict[Row, Row]:
        """Rows whose key starts with `prefix`, by key."""
        select: dict[int, Value] = dict(zip(self.table.key, prefix, strict=False))
        keys = [prefix] if len(prefix) == len(self.table.key) else self._keys(prefix)
        if self._group_key is not None:
            return self._from_groups(keys, select, as_of)
        finals = zip(keys, self.table.get_all(keys), strict=True)
        found = {key: row for key, row in finals if row is not None}
        if self.reach.by_key:
            for change in self.table.pending(select, as_of):
                key = self.table.key_of(change.row)
                if key[: len(prefix)] != prefix or change.kind == UPDATE_BEFORE:
                    continue
                if change.kind == DELETE:
                    found.pop(key, None)
                else:
                    found[key] = change.row
        if self._recounted:
            found = {key: self._recount(key, row, as_of) for key, row in found.items()}
        return found

    def _from_groups(self, keys: Sequence[Row], select: dict[int, Value], as_of: int) -> dict[Row, Row]:
        group = self._base
        assert isinstance(group, GroupAggregate) and self._group_key is not None
        order = [self.table.key.index(column) for column in self._group_key]
        wanted = {position: select[column] for position, column in enumerate(self._group_key) if column in select}
        touched = group.folded(wanted, as_of) if self.reach.by_key and not self.reach.whole else {}
        groups = {tuple(key[place] for place in order): None for key in keys}
        groups.update(dict.fromkeys(touched))
        changes = []
        for each in groups:
            if any(each[position] != value for position, value in wanted.items()):
                continue
            stored = touched[each] if each in touched else group.groups.get(each)
            if stored is not None:
                changes.append(Change(INSERT, each + group.accumulators.results(stored[1], as_of)))
        for step in reversed(self._chain):
            changes = step.through(changes, as_of)
        return {self.table.key_of(change.row): change.row for change in changes}

    def _recount(self, key: Row, row: Row, as_of: int) -> Row:
        assert isinstance(self._base, OverAggregation)
        by_base = {self._traced(column): key[place] for place, column in enumerate(self.table.key)}
        results = self._base.recounted(tuple(by_base[index] for index in self._base.node.partition), as_of)
        return tuple(
            results[self._recounted[column]] if column in self._recounted else value for column, value in enumerate(row)
        )

    def _keys(self, prefix: Row) -> list[Row]:
        """Final keys that start with a prefix, ordered by the rest."""
        if not prefix:
            return sorted((key for key, _ in self.table.rows.items()), key=_ordered)
        keys = self.by_first().get(prefix[0], {})
        return sorted((key for key in keys if key[: len(prefix)] == prefix), key=_ordered)

    def by_first(self) -> Mapping[Value, Mapping[Row, None]]:
        """Final keys by their first column."""
        return self.first_columns().keys()

    def first_columns(self) -> FirstColumns:
        """The index behind `by_first`, as far as it is."""
        if self._by_first is None:
            self._by_first = FirstColumns(self.table.rows)
        return self._by_first

    def mirror(self) -> TableMirror:
        """The mirror, brought up to date."""
        mirror = self.mirrored()
        mirror.refresh()
        return mirror

    def mirrored(self) -> TableMirror:
        """The mirror, as far as it is."""
        if self._mirror is None:
            self._mirror = TableMirror(self.table, self._fading())
        return self._mirror

    def same(self, other: LiveTable) -> bool:
        """Whether another table has the rows of this one where both stand at the same record: made by operators of the
        same identity."""
        fading, others = self._fading(), other._fading()
        groups = {name: (each.group.id, each.aggregate, each.half_life_ms) for name, each in fading.items()}
        return (
            self.table.rows.name == other.table.rows.name
            and self.table.names == other.table.names
            and groups == {name: (each.group.id, each.aggregate, each.half_life_ms) for name, each in others.items()}
        )

    @property
    def made(self) -> TableMirror | None:
        """The mirror, where one was made."""
        return self._mirror

    @property
    def first_made(self) -> FirstColumns | None:
        """The index by the first column of the key, where one was made."""
        return self._by_first

    def take_over(self, mirror: TableMirror) -> None:
        """Go on with the mirror of a table that is the same."""
        mirror.rebind(self.table, self._fading())
        self._mirror = mirror

    def take_over_first(self, index: FirstColumns) -> None:
        """Go on with the index of a table that is the same."""
        index.rebind(self.table.rows)
        self._by_first = index

    def _fading(self) -> dict[str, Fading]:
        group = self._base
        if self._group_key is None or not isinstance(group, GroupAggregate):
            return {}
        width = len(group.keys)
        found = {}
        for column, name in enumerate(self.table.names):
            base = self._traced(column)
            if base is not None and base >= width:
                half_life = group.accumulators.half_lives[base - width]
                if half_life:
                    found[name] = Fading(group, base - width, half_life)
        return found


def _ordered(key: Row) -> tuple[tuple[bool, str, Value], ...]:
    """NULLs first, then by value within one type."""
    return tuple((value is not None, type(value).__name__, value) for value in key)


def _holds(operator: Operator | None) -> bool:
    """Does anything upstream hold rows back?"""
    if operator is None:
        return False
    holds = isinstance(operator, HOLDING) and operator.holds_back
    return holds or any(_holds(each) for each in _inputs(operator))


def _kept(operator: Operator | None) -> Iterator[str]:
    """What the operators of a table's statement keep beside its rows, in words."""
    if operator is None or isinstance(operator, MaterialisedTable):
        return
    if isinstance(operator, KEEPING):
        yield operator.bound
    for each in _inputs(operator):
        yield from _kept(each)


def _held(operator: Operator | None) -> int:
    return 0 if operator is None else operator.held + sum(_held(each) for each in _inputs(operator))


def _inputs(operator: Operator) -> tuple[Operator, ...]:
    several = getattr(operator, "_sources", None)
    if several is not None:
        return tuple(several)
    one = getattr(operator, "_source", None) or getattr(operator, "source", None)
    return (one,) if one is not None else ()


def _reach(operator: Operator | None, columns: set[int]) -> bool:
    """Do these output columns, copied upstream, select rows at every operator that holds rows back?"""
    if not _holds(operator) or isinstance(operator, PatternMatch):
        return not _holds(operator)  # what a row of a pattern may still become depends on rows to come
    match operator:
        case None:
            return True
        case Project() | Expand() | ChangesAsRows() | RowsThatChange() | WatermarkBeside() | TimedByArrival():
            return _reach(_inputs(operator)[0], _copied(operator, columns))
        case Filter() | Forward() | MaterialisedTable() | SortByTime() | Union() | SetComparison():
            return all(_reach(each, columns) for each in _inputs(operator))
        case GroupAggregate():
            return _reach(_inputs(operator)[0], {operator.keys[each] for each in columns if each < len(operator.keys)})
        case OverAggregation() | ValueOver() | TopN() | LastRow() | FirstArrival() | FirstRow():
            partition = set(operator.partition)
            return partition <= columns and _reach(_inputs(operator)[0], partition)
        case ConflictingRows():
            return set(operator.keys) <= columns and _reach(_inputs(operator)[0], set(operator.keys))
        case WindowTopN():
            return bool(columns) and _reach(_inputs(operator)[0], columns & set(operator.partition))
        case WindowTableFunction() | SessionTable():
            own = {each for each in columns if each < len(operator.types) - 3}
            keyed = isinstance(operator, WindowTableFunction) or set(operator.keys) <= own
            return keyed and _reach(_inputs(operator)[0], own)
        case WindowAggregation() | SessionAggregation():
            keys = {operator.keys[each] for each in columns if each < len(operator.keys)}
            return bool(keys) and _reach(_inputs(operator)[0], keys)
        case Join() | IntervalJoin() | WindowJoin():
            sides = [set(operator.columns_at(port, columns)) for port in (0, 1)]
            if not isinstance(operator, Join) and operator.holds_back and not all(sides):
                return False
            return all(_reach(each, side) for each, side in zip(_inputs(operator), sides, strict=True))
        case TemporalJoin() | LookupJoin():
            left = operator.left_columns(columns)
            return bool(left) and _reach(_inputs(operator)[0], left)
    return True


def _copied(
    operator: Project | Expand | ChangesAsRows | RowsThatChange | WatermarkBeside | TimedByArrival, columns: set[int]
) -> set[int]:
    """The input columns that these output columns are plain copies of."""
    match operator:
        case Project():
            return {each for column in columns if (each := operator.source_of(column)) is not None}
        case Expand() | WatermarkBeside():
            return {each for each in columns if each < operator.width}
        case TimedByArrival():
            return columns - {operator.column}
        case ChangesAsRows():
            return {each - 1 for each in columns if each}
        case RowsThatChange():
            return set(operator.below(columns).values())


class Tables:
    """All readable tables of a runner; made once per runner, shared by its readings."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        graph = runner.graph
        names = [*graph.sources, *graph.targets]
        self.live = {name: LiveTable(table) for name in names if (table := graph.table(name)) is not None}
        self.together = graph.together
        self.learners = graph.learners
        self.vectors = {name: VectorMirror(source) for name, source in graph.vectors.items()}
        self._followed = Followed()
        self._lent: dict[str, Mirror] = {}
        self._lent_first: dict[str, FirstColumns] = {}
        self._watched: tuple[Follower, ...] = ()

    def reading(self, time_ms: int) -> LiveReading:
        return LiveReading(self, time_ms)

    # ------------------------------------------------------------ what follows the state

    def follow(self, followed: Followed) -> None:
        """Make what is named now, so that no reading has to, and keep it near the state from here on: see
        `catch_up`."""
        self._declare(followed)
        for each in self._watched:
            each.refresh()
        self._place()

    def following(self, followed: Followed, lender: Tables | None = None) -> Iterator[None]:
        """As `follow`, in portions of a few milliseconds, between which the state may move: at the end a read finds at
        most `BEHIND_MAX` keys of a table to do. What `lender`, another runner's tables, has made of tables that are the
        same is not made again: call `take_over` once both stand at the same record."""
        if lender is not None:
            self._borrow(lender, self._known(followed))
        self._declare(followed)
        while behind := [each for each in self._watched if each.behind > BEHIND_MAX]:
            for each in behind:
                each.take_in(PORTION)
                self._place()
                yield

    def catch_up(self) -> None:
        """Take in what changed where many keys did: the next reading finds at most `BEHIND_MAX` of each table to do.
        Costs in proportion to the keys that changed."""
        if any(each.behind > BEHIND_MAX for each in self._watched):
            for each in self._watched:
                each.refresh()
            self._place()

    def take_over(self, lender: Tables) -> None:
        """Go on with what was lent, where it still is the same; `lender` follows nothing any more."""
        for name, mirror in self._lent.items():
            if not self._lends(lender, name):
                continue
            if isinstance(mirror, VectorMirror):
                self.vectors[name].close()
                mirror.rebind(self.runner.graph.vectors[name])
                self.vectors[name] = mirror
            else:
                self.live[name].take_over(mirror)
        for name, index in self._lent_first.items():
            if self._lends(lender, name):
                self.live[name].take_over_first(index)
        self._lent, self._lent_first = {}, {}
        self._declare(self._followed)
        mirrors: list[Mirror] = [
            *self.vectors.values(),
            *(each.made for each in self.live.values() if each.made is not None),
        ]
        for each in mirrors:
            each.keep_places(mirrors)

    def _borrow(self, lender: Tables, followed: Followed) -> None:
        """Which mirrors another runner's tables have that need not be made again."""
        for name in (*self.live, *self.vectors):
            if not self._lends(lender, name):
                continue
            if name in self.vectors:
                self._lent[name] = lender.vectors[name]
                continue
            made = lender.live[name].made
            columns = [column for table, column in followed.columns if table == name]
            codes = [column for table, column in followed.codes if table == name]
            if made is not None and made.keeps(columns, codes):
                self._lent[name] = made
            index = lender.live[name].first_made
            if index is not None:
                self._lent_first[name] = index

    def _lends(self, lender: Tables, name: str) -> bool:
        """Whether a table is the same there: made alike, and none of the two was stopped."""
        if name in lender.runner.halts.stopped or name in self.runner.halts.stopped:
            return False
        if name in self.vectors:
            return name in lender.vectors and self.vectors[name].same(lender.vectors[name])
        return name in lender.live and self.live[name].same(lender.live[name])

    def _declare(self, followed: Followed) -> None:
        """Keep what is named from here on, as far as it is."""
        known = self._followed = self._known(followed)
        for table in dict.fromkeys(name for name, _ in (*known.columns, *known.codes)):
            if table not in self._lent:
                columns = [column for name, column in known.columns if name == table]
                codes = [column for name, column in known.codes if name == table]
                self.live[table].mirrored().declare(columns, codes)
        named = [name for pair in known.places for name in pair]
        named += [table for table, _ in (*known.columns, *known.codes)]
        watched: list[Follower] = [self._mirrored(name) for name in dict.fromkeys(named) if name not in self._lent]
        watched += [self.live[table].first_columns() for table in known.prefixes if table not in self._lent_first]
        self._watched = tuple(watched)
        self._place()

    def _known(self, followed: Followed) -> Followed:
        """What of it there is: a declared table without any state has nothing to follow."""
        known, live, there = Followed(), self.live, {*self.live, *self.vectors}
        known.columns = {pair: None for pair in followed.columns if pair[0] in live}
        known.codes = {pair: None for pair in followed.codes if pair[0] in live}
        known.places = {pair: None for pair in followed.places if there.issuperset(pair)}
        known.prefixes = {table: None for table in followed.prefixes if table in live}
        return known

    def _place(self) -> None:
        for table, other in self._followed.places:
            self._mirrored(table).place(self._mirrored(other))

    def _mirrored(self, name: str) -> Mirror:
        """The mirror of a table or of a table of vectors, as far as it is; one that is lent where there is one."""
        return self._lent.get(name) or self.vectors.get(name) or self.live[name].mirrored()

    def mirror(self, name: str) -> Mirror:
        """The mirror of a table or of a table of vectors, brought up to date."""
        return self.vectors.get(name) or self.live[name].mirror()


class _WholeTable:
    def __init__(self, mirror: TableMirror, time_ms: int) -> None:
        self._mirror = mirror
        self._time_ms = time_ms
        self.keys: Sequence[Value] = mirror.keys
        self.slots: Mapping[Value, int] = mirror.slots

    def column(self, name: str) -> Column:
        return self._mirror.column(name, self._time_ms)

    def codes(self, name: str) -> tuple[IntArray, Mapping[Value, int]]:
        return self._mirror.codes(name)


class LiveReading:
    """Implements `process.reading.Reading` over a runner's state."""

    def __init__(self, tables: Tables, time_ms: int) -> None:
        self._tables = tables
        self.time_ms = time_ms
        self.position = tables.runner.applied
        self.stopped = tables.runner.halts.stopped

    def row(self, table: str, key: Row) -> dict[str, Value] | None:
        live = self._tables.live[table]
        row = live.row(tuple(key), self.time_ms)
        return dict(zip(live.table.names, row, strict=True)) if row is not None else None

    def rows(self, table: str, prefix: Row) -> list[dict[str, Value]]:
        if table in self._tables.together:
            return self._tables.together[table].rows(prefix[0])
        live = self._tables.live[table]
        found = live.rows(tuple(prefix), self.time_ms)
        return [dict(zip(live.table.names, found[key], strict=True)) for key in sorted(found, key=_ordered)]

    def keyed(self, table: str, column: str, keys: Sequence[Value]) -> Column:
        return self._tables.live[table].mirror().take(column, keys, self.time_ms)

    def whole(self, table: str) -> _WholeTable:
        return _WholeTable(self._tables.live[table].mirror(), self.time_ms)

    def places(self, table: str, other: str) -> IntArray:
        return self._tables.mirror(table).places_in(self._tables.mirror(other))

    def vectors(self, table: str) -> Vectors:
        return self._tables.vectors[table].view()

    def learned(self, name: str) -> Learned:
        return self._tables.learners[name]

    def changed_at_ms(self, table: str, keys: Sequence[Row]) -> list[int | None]:
        return self._tables.live[table].table.changed_at_ms(keys)
