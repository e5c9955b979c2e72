"""Dot products of the rows that sessions are made of with all rows, kept. Derived, never part of the state.

Sessions of a small catalogue are made of the same few thousand items again and again. With the dot products of each
with all others at hand, a session's score of every item is read from a line of numbers for each of its items, and not
computed from every vector: a tenth of the memory is read, and the bits are the same, for the dot products are exact. A
line is made when a session first needs it, a few for each session; while single vectors change, lines that are there
follow. `BYTES_MAX` is the end of that: larger catalogues are searched by one pass over their vectors, as are sessions
whose lines are not there yet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.nearest import follow_lines, lines_scores, make_line
from nextpaint.record.columns import BoolArray, IntArray

BYTES_MAX = 100 << 20  # 5,120 items; only lines that were made take memory
MADE_MAX = 2  # lines made for one session: each costs half of a pass over all vectors
FOLLOWED_MAX = 65_536  # dot products brought up to date at once: one and a half milliseconds


class KnownDots:
    """Of a matrix of signed bytes, whose rows are told when they change."""

    def __init__(self) -> None:
        self._dots: npt.NDArray[np.int32] = np.empty((0, 0), np.int32)
        self._known: BoolArray = np.zeros(0, np.bool_)

    def scores(
        self, matrix: npt.NDArray[np.int8], norms: npt.NDArray[np.float64], seeds: IntArray,
        coefficients: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.float64] | None:  # fmt: skip
        """The scores of all rows as `kernels.nearest` has them, shape (rows,); None where there are too many rows, or
        lines of the session that are not there yet."""
        if not self._fits(len(matrix)):
            return None
        missing = seeds[~self._known[seeds]].tolist()
        for row in missing[:MADE_MAX]:
            make_line(matrix, row, self._dots[row])
            self._known[row] = True
        if len(missing) > MADE_MAX:
            return None
        scores = np.zeros(len(matrix))
        lines_scores(self._dots, norms, seeds, coefficients, scores)
        return scores

    def changed(self, matrix: npt.NDArray[np.int8], rows: IntArray) -> None:
        """These rows are others now, or gone. Where many are, lines are made anew as they are needed."""
        self._known[rows[rows < len(self._known)]] = False
        lines = np.flatnonzero(self._known)
        if len(lines) * len(rows) > FOLLOWED_MAX:
            self._known[:] = False
        elif len(lines) and self._fits(len(matrix)):
            follow_lines(matrix, lines, rows, self._dots)

    def _fits(self, rows: int) -> bool:
        """Whether lines are kept for so many rows; makes room for them."""
        if rows > len(self._dots):
            room = max(256, rows + rows // 8)
            if 4 * room * room > BYTES_MAX:
                room = int((BYTES_MAX / 4) ** 0.5)
            if rows > room:
                self._dots, self._known = np.empty((0, 0), np.int32), np.zeros(0, np.bool_)
                return False
            self._dots, self._known = np.empty((room, room), np.int32), np.zeros(room, np.bool_)
        return True
