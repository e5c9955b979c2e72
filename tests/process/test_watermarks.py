"""Watermarks of a source against a plain reading of the rules, row by row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.state import State
from nextpaint.process.watermarks import ADVANCE_MS, SourceClock
from nextpaint.record.columns import IDLE, MIN_WATERMARK

DELAY_MS = 100


def pairs(marks):
    return list(zip(marks[0].tolist(), marks[1].tolist(), strict=True))


class Plain:
    """The rules, one event after the other: a row at (seq, time, at), or the ledger clock moved to (seq, at)."""

    def __init__(self, timeout, advance):
        self.timeout, self.advance = timeout, advance
        self.watermark, self.last, self.idle = MIN_WATERMARK, 0, False
        self.marks = []

    def row(self, seq, time, at):
        self.last, woke, self.idle = at, self.idle, False
        if time - DELAY_MS > self.watermark or woke:
            self.watermark = max(self.watermark, time - DELAY_MS)
            self.marks.append((seq, self.watermark))

    def moved(self, seq, at):
        if not self.last:
            self.last = at
        elif self.advance and at - self.last >= self.advance:
            reached = at // ADVANCE_MS * ADVANCE_MS - DELAY_MS
            if reached > self.watermark:
                self.watermark = reached
                self.marks.append((seq, reached))
        elif self.timeout and at - self.last >= self.timeout and not self.idle:
            self.idle = True
            self.marks.append((seq, IDLE))


# Per record: pause of the ledger clock before it, and the time of its row; None: the record belongs to another topic.
records = st.lists(st.tuples(st.sampled_from([0, 0, 0, 40, 300, 900]), st.none() | st.integers(0, 3000)), max_size=40)


@given(records, st.sampled_from([(0, 0), (200, 0), (0, 250), (500, 250)]), st.data())
def test_marks_are_those_of_the_rules_however_records_are_cut(told, settings, data):
    clock, plain = SourceClock("s", DELAY_MS, *settings, State()), Plain(*settings)
    marks, at, seq = [], 1_000, 0
    while seq < len(told):
        size = data.draw(st.integers(1, len(told) - seq))
        rows, silences = [], []
        for number in range(seq, seq + size):
            pause, time = told[number]
            at += pause
            if time is not None:
                rows.append((time, number, at))
                plain.row(number, time, at)
            if pause or not number:
                silences.append((number, at))
                plain.moved(number, at)
        columns = [np.array([row[index] for row in rows], np.int64) for index in range(3)]
        begins = tuple(np.array([each[index] for each in silences], np.int64) for index in range(2))
        marks += pairs(clock.rows(*columns, begins))
        seq += size
    assert marks == plain.marks
    assert clock.watermark == plain.watermark


def test_a_row_of_the_same_entry_comes_before_its_silence():
    clock = SourceClock("s", DELAY_MS, 200, 0, State())
    first = clock.rows(np.array([5_000]), np.array([0]), np.array([1_000]), (np.array([0]), np.array([1_000])))
    later = clock.rows(np.array([5_000]), np.array([1]), np.array([9_000]), (np.array([1]), np.array([9_000])))
    assert pairs(first) == [(0, 4_900)] and pairs(later) == [], "it was silent for long, but its own row says it is not"
