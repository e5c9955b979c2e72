"""OVER in order of processing time: each row is answered as it arrives, with the rows of its key that came before.

Processing time is the ledger's clock, so the rows in a frame are a function of the record sequence. Nothing is held
back and nothing is late. A RANGE frame counts the rows of its key whose ledger time is within the range, those of one
millisecond one after the other (Flink gathers what its machine's clock sees in one millisecond). A key is forgotten
when its last row has left its RANGE frame, and other frames after the time to live, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from nextpaint.process.expiry import Expiry
from nextpaint.process.operators.over import FrameTable, Held, OverAggregation
from nextpaint.process.operators.protocol import Operator, Output, Row, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, Batch, Value
from nextpaint.sql.plan import OverAggregate


class ArrivalOver(OverAggregation):
    """State: `frames`, partition -> Frame; `written` of the expiry."""

    def __init__(self, identity: str, node: OverAggregate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        ttl_ms = node.ttl_ms or 0 if self._range is None else self._range + 1
        decimals = any(each.has_decimals for each in self.types)
        self._expiry = Expiry(identity, ttl_ms, decimals, state) if ttl_ms else None

    def restore(self) -> None:
        if self._expiry is not None:
            self._expiry.restore()

    @property
    def holds_back(self) -> bool:
        return False

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        self._accumulators.reasons.clear()  # those of readings are nobody's rows
        for row, seq, at_ms in zip(batch.rows(), batch.seq.tolist(), context.at(batch.seq).tolist(), strict=True):
            partition = self._partition(row)
            if self._expiry is not None:
                for gone in self._expiry.expired(at_ms):
                    self._frames.pop(gone)
                self._expiry.write(partition, at_ms)
            out.add(INSERT, seq, row + self._advanced(self._frames, partition, at_ms, [row]))
            if self._accumulators.reasons:
                self._accumulators.report(context, seq, self.id, row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _is_late(self, time: int, partition: Row) -> bool:
        return False

    def _fired(self, peers: list[tuple[Held, Row]], frames: FrameTable) -> list[tuple[Row, tuple[Value, ...]]]:
        return [(row, self._advanced(frames, self._partition(row), held[0], [row])) for held, row in peers]
