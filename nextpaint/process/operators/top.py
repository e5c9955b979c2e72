"""Top-N: the best rows of each partition so far, as a changelog.

With the rank in the output each rank is a row that changes: a row that moves in shifts those below it, -U/+U each.
Without it only what enters and leaves is told: -D of the row that leaves, then +I of the one that enters. Where only
one rank is kept it changes in place, -U/+U. Of equal rows the one that came first ranks higher and stays.

An update of the input arrives as -U and +U. Where updates only ever better a row (`climbing`) the pair is one change
and a row that stays equal in the order keeps its place; otherwise the old row goes and the new one comes last among
its equals. Both as in Flink.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.expiry import Expiry, bounded
from nextpaint.process.operators.protocol import Change, Operator, Output, Row, Select, StepContext
from nextpaint.process.ranking import Place, Ranking, order_by
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch
from nextpaint.sql.plan import Changes, Rank

_PENDING = 2**62  # seqs of rows that have not arrived yet: behind all that have


class TopN(Operator):
    """State: `rows`, (*partition, seq, ordinal) -> row: of an append-only input the rows that rank, of an updating one
    all. Derived: the rows of each partition in order."""

    def __init__(self, identity: str, node: Rank, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        assert node.last is not None, "the planner bounds every rank"
        self.partition = node.partition
        self._node = node
        self._first, self._last = node.first, node.last
        self._only = node.first == node.last
        self._appends = node.input.schema.changes is Changes.APPEND
        self._nested = any(each.is_nested for each in node.input.schema.types)
        self._order = order_by(node.keys, node.input.schema.types)
        self._rows = self._made(node, state)
        decimals = any(each.has_decimals for each in self.types)
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]
        self._rankings: dict[Row, Ranking] = {}
        self._last_seq, self._ordinal = -1, 0

    def _made(self, node: Rank, state: State) -> Cell:
        return state.cell(self.id, "rows", decimals=any(each.has_decimals for each in self.types))

    def _ranking(self, partition: Row) -> Ranking | None:
        """The rows kept of a partition."""
        return self._rankings.get(partition)

    def restore(self) -> None:
        self._rankings = {}
        for (*partition, seq, ordinal), row in self._rows.items():
            ranking = self._rankings.setdefault(tuple(partition), Ranking())
            ranking.places.append(Place(self._order(row), seq, ordinal, row))
        for ranking in self._rankings.values():
            ranking.places.sort()
        if self._expiry is not None:
            self._expiry.restore()

    @property
    def bound(self) -> str:
        kept = f"the best {self._last}" if self._appends else "all rows"
        return bounded(f"{kept} per partition", self._expiry)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        if len(batch):
            rows, kinds, seqs = batch.rows(), batch.kind.tolist(), batch.seq.tolist()
            clocks = context.at(batch.seq).tolist() if self._expiry is not None else []
            index = 0
            while index < len(rows):
                if self._expiry is not None:
                    self._expire(self._expiry, clocks[index], self._key(rows[index]))
                row = frozen(rows[index]) if self._nested else rows[index]
                if self._pairs(kinds, rows, index):
                    after = frozen(rows[index + 1]) if self._nested else rows[index + 1]
                    self._replace(out, seqs[index], row, after)
                    index += 2
                    continue
                if kinds[index] in (UPDATE_BEFORE, DELETE):
                    self._remove(out, seqs[index], row)
                else:
                    self._insert(out, seqs[index], row)
                index += 1
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _expire(self, expiry: Expiry, now_ms: int, partition: Row) -> None:
        """Forget partitions that no row came to for the time to live; this one is written now."""
        for gone in expiry.expired(now_ms):
            for place in self._rankings.pop(gone, Ranking()).places:
                self._rows.pop((*gone, place.seq, place.ordinal))
            self._forget(gone)
        expiry.write(partition, now_ms)

    def _forget(self, partition: Row) -> None:
        """What else is kept of a partition that is forgotten."""

    def _end(self, partition: Row, row: Row | None = None) -> int:
        """The last rank of a partition; `row`: one that comes to it."""
        return self._last

    def _key(self, row: Row) -> Row:
        return tuple([row[index] for index in self.partition])

    def _pairs(self, kinds: Sequence[int], rows: Sequence[Row], index: int) -> bool:
        if not self._node.climbing or kinds[index] != UPDATE_BEFORE or index + 1 == len(rows):
            return False
        return kinds[index + 1] == UPDATE_AFTER and self._key(rows[index]) == self._key(rows[index + 1])

    # ------------------------------------------------------------ changes

    def _insert(self, out: Output, seq: int, row: Row) -> None:
        partition = self._key(row)
        ranking = self._rankings.setdefault(partition, Ranking())
        order, last = self._order(row), self._end(partition, row)
        if self._appends and len(ranking.places) >= last and not (last > 0 and order < ranking.places[-1].order):
            return
        before = ranking.best(self._first, last)
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        ranking.add(Place(order, seq, self._ordinal, row))
        self._rows.put((*partition, seq, self._ordinal), row)
        if self._appends and len(ranking.places) > last:
            gone = ranking.places.pop()
            self._rows.pop((*partition, gone.seq, gone.ordinal))
        self._tell(out, seq, before, ranking.best(self._first, last))

    def _remove(self, out: Output, seq: int, row: Row) -> None:
        partition = self._key(row)
        ranking = self._rankings.get(partition)
        index = ranking.find(self._order(row), row) if ranking is not None else None
        if ranking is None or index is None:
            return  # the row came before this operator knew it: nothing to take back
        last = self._end(partition)
        before = ranking.best(self._first, last)
        gone = ranking.places.pop(index)
        self._rows.pop((*partition, gone.seq, gone.ordinal))
        if not ranking.places:
            del self._rankings[partition]
        self._tell(out, seq, before, ranking.best(self._first, last))

    def _replace(self, out: Output, seq: int, old: Row, new: Row) -> None:
        partition = self._key(old)
        ranking = self._rankings.get(partition)
        index = ranking.find(self._order(old), old) if ranking is not None else None
        if ranking is None or index is None:
            self._insert(out, seq, new)
            return
        last = self._end(partition)
        before = ranking.best(self._first, last)
        gone = ranking.places.pop(index)
        order = self._order(new)
        if order == gone.order:
            place = Place(order, gone.seq, gone.ordinal, new)
        else:
            self._rows.pop((*partition, gone.seq, gone.ordinal))
            self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
            self._last_seq = seq
            place = Place(order, seq, self._ordinal, new)
        ranking.add(place)
        self._rows.put((*partition, place.seq, place.ordinal), new)
        self._tell(out, seq, before, ranking.best(self._first, last), updated=(old, new))

    def _tell(
        self, out: Output, seq: int, before: list[Place], after: list[Place], updated: tuple[Row, Row] | None = None
    ) -> None:
        for change in self._changes(before, after, updated):
            out.add(change.kind, seq, change.row)

    def _changes(self, before: list[Place], after: list[Place], updated: tuple[Row, Row] | None = None) -> list[Change]:
        """What a change of the ranking says."""
        if self._node.shown:
            return self._shifts(before, after)
        old, new = {(each.seq, each.ordinal, each.row) for each in before}, {(e.seq, e.ordinal, e.row) for e in after}
        left = [each.row for each in before if (each.seq, each.ordinal, each.row) not in new]
        came = [each.row for each in after if (each.seq, each.ordinal, each.row) not in old]
        paired = len(left) == len(came) == 1
        if paired and left == came:
            return []
        in_place = paired and (self._only or (left[0], came[0]) == updated)
        gone, here = (UPDATE_BEFORE, UPDATE_AFTER) if in_place else (DELETE, INSERT)
        rank = (self._last,)
        return [*(Change(gone, row + rank) for row in left), *(Change(here, row + rank) for row in came)]

    def _shifts(self, before: list[Place], after: list[Place]) -> list[Change]:
        changes: list[Change] = []
        for index in range(max(len(before), len(after))):
            rank = (self._first + index,)
            if index < min(len(before), len(after)) and before[index] == after[index]:
                continue  # the same row, not only an equal one: those are told, as in Flink
            old = before[index].row if index < len(before) else None
            new = after[index].row if index < len(after) else None
            if old is not None:
                changes.append(Change(DELETE if new is None else UPDATE_BEFORE, old + rank))
            if new is not None:
                changes.append(Change(INSERT if old is None else UPDATE_AFTER, new + rank))
        return changes

    # ------------------------------------------------------------ live

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column in self.partition}
        touched: dict[Row, Ranking] = {}
        ends: dict[Row, int] = {}
        for number, change in enumerate(self._source.pending(wanted, as_of)):
            row = frozen(change.row)
            key = self._key(row)
            if key not in touched:
                ends[key] = self._end_read(key, row)
                stored = self._ranking(key)
                touched[key] = Ranking(list(stored.places) if stored is not None else [])
            if change.kind in (UPDATE_BEFORE, DELETE):
                index = touched[key].find(self._order(row), row)
                if index is not None:
                    touched[key].places.pop(index)
            else:
                touched[key].add(Place(self._order(row), _PENDING + number, 0, row))
        changes: list[Change] = []
        for key, ranking in touched.items():
            known = self._ranking(key)
            before = known.best(self._first, ends[key]) if known is not None else []
            changes += self._changes(before, ranking.best(self._first, ends[key]))
        return changes

    def _end_read(self, partition: Row, row: Row) -> int:
        """As `_end`, of a reading, which keeps nothing."""
        return self._last


class VariableTopN(TopN):
    """A Top-N whose last rank is a column, as the first row of a partition says it. State: also `ends`, that rank."""

    def __init__(self, identity: str, node: Rank, sources: Sequence[Operator], state: State) -> None:
        assert node.limit is not None
        super().__init__(identity, node, sources, state)
        self._limit = node.limit
        self._ends = state.cell(identity, "ends")

    def _end(self, partition: Row, row: Row | None = None) -> int:
        end = self._ends.get(partition)
        if end is None and row is not None:
            end = self._said(row)
            self._ends.put(partition, end)
        return self._last if end is None else int(end)

    def _end_read(self, partition: Row, row: Row) -> int:
        end = self._ends.get(partition)
        return self._said(row) if end is None else int(end)

    def _said(self, row: Row) -> int:
        said = row[self._limit]
        return max(0, min(said, self._last)) if isinstance(said, int) else 0  # NULL bounds it to nothing

    def _forget(self, partition: Row) -> None:
        self._ends.pop(partition)
