"""OVER in the order of a value: a changelog, since every row behind a change has another frame.

A frame reaches from the first row of the partition to the row itself (ROWS) or to the last row whose value is the same
(RANGE). A row that comes, goes or changes is told in its place in the order, together with the rows whose results are
others now: -U and +U each. Rows of equal value stand in their order of arrival, and of equal rows the first to come
goes first. Nothing is held back and nothing is late.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from nextpaint.process.aggregates import Accumulators
from nextpaint.process.expiry import Expiry, bounded
from nextpaint.process.operators.protocol import Change, Operator, Output, Row, Select, StepContext
from nextpaint.process.ranking import Order, Place, Ranking, order_by
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import DELETE, UPDATE_AFTER, UPDATE_BEFORE, Batch
from nextpaint.sql.plan import OverAggregate

_PENDING = 2**62  # seqs of rows that have not arrived yet: behind all that have


class ValueOver(Operator):
    """State: `rows`, (*partition, seq, ordinal) -> row. Derived: the frames of each partition."""

    def __init__(self, identity: str, node: OverAggregate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        assert node.by_value is not None, "only an order of a value"
        self.partition = node.partition
        self._peers = node.unit == "RANGE"
        inputs = node.input.schema.types
        self._order = order_by((node.by_value,), inputs)
        self._nested = any(each.is_nested for each in inputs)
        self._accumulators = Accumulators(node.aggregates, inputs, None)
        decimals = any(each.has_decimals for each in self.types)
        self._rows = state.cell(identity, "rows", decimals=decimals)
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]
        self._frames: dict[Row, _Frames] = {}
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        ranked: dict[Row, list[Place]] = {}
        for (*partition, seq, ordinal), row in self._rows.items():
            ranked.setdefault(tuple(partition), []).append(Place(self._order(row), seq, ordinal, row))
        self._frames = {
            partition: _Frames(self._accumulators, self._peers, sorted(places)) for partition, places in ranked.items()
        }
        if self._expiry is not None:
            self._expiry.restore()

    @property
    def bound(self) -> str:
        return bounded("all rows per partition", self._expiry)

    def _key(self, row: Row) -> Row:
        return tuple([row[index] for index in self.partition])

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        self._accumulators.reasons.clear()  # those of readings are nobody's rows
        clocks = context.at(batch.seq).tolist() if self._expiry is not None else []
        for index, (read, kind, seq) in enumerate(
            zip(batch.rows(), batch.kind.tolist(), batch.seq.tolist(), strict=True)
        ):
            row = frozen(read) if self._nested else read
            partition = self._key(row)
            if self._expiry is not None:
                self._expire(self._expiry, clocks[index], partition)
            removed = kind in (UPDATE_BEFORE, DELETE)
            for change in self._removed(partition, row) if removed else self._added(partition, row, kind, seq):
                out.add(change.kind, seq, change.row)
            if self._accumulators.reasons:
                self._accumulators.report(context, seq, self.id, row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _expire(self, expiry: Expiry, now_ms: int, partition: Row) -> None:
        """Forget partitions that no row came to for the time to live; this one is written now."""
        for gone in expiry.expired(now_ms):
            frames = self._frames.pop(gone, None)
            for place in frames.places if frames is not None else ():
                self._rows.pop((*gone, place.seq, place.ordinal))
        expiry.write(partition, now_ms)

    def _added(self, partition: Row, row: Row, kind: int, seq: int) -> list[Change]:
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        self._rows.put((*partition, seq, self._ordinal), row)
        frames = self._frames.get(partition)
        if frames is None:
            frames = self._frames[partition] = _Frames(self._accumulators, self._peers)
        return frames.added(Place(self._order(row), seq, self._ordinal, row), kind)

    def _removed(self, partition: Row, row: Row) -> list[Change]:
        frames = self._frames.get(partition)
        index = frames.find(self._order(row), row) if frames is not None else None
        if frames is None or index is None:
            return []  # the row came before this operator knew it: nothing to take back
        place = frames.places[index]
        self._rows.pop((*partition, place.seq, place.ordinal))
        if len(frames.places) == 1:
            del self._frames[partition]
        return frames.removed(index)

    # ------------------------------------------------------------ live

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column in self.partition}
        touched: dict[Row, _Frames] = {}
        changes: list[Change] = []
        for number, change in enumerate(self._source.pending(wanted, as_of)):
            row = frozen(change.row)
            key = self._key(row)
            if key not in touched:
                stored = self._frames.get(key)
                touched[key] = stored.copy() if stored is not None else _Frames(self._accumulators, self._peers)
            frames, order = touched[key], self._order(row)
            if change.kind not in (UPDATE_BEFORE, DELETE):
                changes += frames.added(Place(order, _PENDING + number, 0, row), change.kind)
            elif (index := frames.find(order, row)) is not None:
                changes += frames.removed(index)
        return changes


class _Frames(Ranking):
    """The rows of a partition in order; beside each the accumulators up to it, and the results it was told with."""

    __slots__ = ("_accs", "_accumulators", "_peers", "_results")

    def __init__(self, accumulators: Accumulators, peers: bool, places: list[Place] | None = None) -> None:
        """`peers`: a frame ends with the last row of equal value."""
        super().__init__(places)
        self._accumulators, self._peers = accumulators, peers
        self._accs: list[tuple[object, ...]] = []
        self._results: list[Row] = []
        self._fold(0, 0)

    def copy(self) -> _Frames:
        made = _Frames(self._accumulators, self._peers)
        made.places, made._accs, made._results = [*self.places], [*self._accs], [*self._results]
        return made

    def _fold(self, index: int, first: int) -> None:
        """Accumulators anew from `index` on and results from `first`, its first peer."""
        del self._accs[index:]
        accs = self._accs[-1] if self._accs else self._accumulators.zero
        for place in self.places[index:]:
            accs = self._accumulators.add(accs, place.row)
            self._accs.append(accs)
        results: list[Row] = []
        for at in range(len(self.places) - 1, first - 1, -1):
            if self._peers and results and self.places[at].order == self.places[at + 1].order:
                results.append(results[-1])
            else:
                results.append(self._accumulators.results(self._accs[at]))
        self._results[first:] = reversed(results)

    def _first(self, index: int, order: Order) -> int:
        """The first row whose frame a row at `index` is in."""
        return bisect_left(self.places, (order,)) if self._peers else index

    def added(self, place: Place, kind: int) -> list[Change]:
        """What a row says that came as a change of this kind."""
        index = bisect_right(self.places, place)
        first = self._first(index, place.order)
        before: list[Row | None] = [*self._results[first:index], None, *self._results[index:]]
        self.places.insert(index, place)
        self._fold(index, first)
        return _changes([each.row for each in self.places[first:]], before, self._results[first:], kind)

    def removed(self, index: int) -> list[Change]:
        """What a row says that goes."""
        first = self._first(index, self.places[index].order)
        rows, before = [each.row for each in self.places[first:]], self._results[first:]
        del self.places[index]
        self._fold(index, first)
        return _changes(rows, before, [*self._results[first:index], None, *self._results[index:]], DELETE)


def _changes(rows: Sequence[Row], before: Sequence[Row | None], after: Sequence[Row | None], kind: int) -> list[Change]:
    """Rows with their results before and after; the one that has only one of them came or went, as `kind` says."""
    changes: list[Change] = []
    for row, old, new in zip(rows, before, after, strict=True):
        if old is None or new is None:
            changes.append(Change(kind, row + (old or new or ())))
        elif not all(was == now for was, now in zip(old, new, strict=True)):  # NaN is another than itself
            changes += (Change(UPDATE_BEFORE, row + old), Change(UPDATE_AFTER, row + new))
    return changes
