"""Byte strings as places in one buffer: how text columns are held between decoding and whoever needs Python objects.

    views = Views(buffer, start, length)      row i is buffer[start[i] : start[i] + length[i]]

Invariants: every place lies inside the buffer; a row that is NULL in its column has length 0; the text of a STRING
column is valid UTF-8. A `Views` is a value: never changed once made. Taking rows keeps the whole buffer alive; what
outlives a step is made `compact` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.record.compiled import kernel

ByteArray = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Views:
    """`start`: int64, `length`: int32, shape (rows,); `buffer`: uint8."""

    buffer: ByteArray
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start)

    def take(self, indices: npt.NDArray[Any]) -> Views:
        """Rows by index array or boolean mask, over the same buffer."""
        return Views(self.buffer, self.start[indices], self.length[indices])

    def where(self, valid: npt.NDArray[np.bool_]) -> Views:
        """The same places, empty where `valid` is False."""
        return Views(self.buffer, self.start, np.where(valid, self.length, np.int32(0)))

    def compact(self) -> Views:
        """The same rows over a buffer that holds nothing else, in order, without gaps."""
        length = np.ascontiguousarray(self.length)
        start = np.cumsum(length, dtype=np.int64) - length
        buffer = np.empty(int(length.sum(dtype=np.int64)), np.uint8)
        gather(self.buffer, np.ascontiguousarray(self.start), length, buffer)
        return Views(buffer, start, length)

    def texts(self) -> list[str]:
        """The rows as Python strings."""
        if not len(self.start):
            return []
        start, end = self.start.tolist(), (self.start + self.length).tolist()
        low = min(start)
        whole = self.buffer[low : max(end)].tobytes()
        if whole.isascii():
            text = whole.decode("ascii")
            return [text[at - low : to - low] for at, to in zip(start, end, strict=True)]
        return [whole[at - low : to - low].decode() for at, to in zip(start, end, strict=True)]

    def raw(self) -> list[bytes]:
        """The rows as Python bytes."""
        if not len(self.start):
            return []
        start, end = self.start.tolist(), (self.start + self.length).tolist()
        low = min(start)
        whole = self.buffer[low : max(end)].tobytes()
        return [whole[at - low : to - low] for at, to in zip(start, end, strict=True)]

    @staticmethod
    def of(values: Sequence[str | bytes | None]) -> Views:
        """Views of Python objects; None is empty."""
        encoded = [each.encode() if isinstance(each, str) else each or b"" for each in values]
        length = np.array([len(each) for each in encoded], np.int32)
        start = np.cumsum(length, dtype=np.int64) - length
        return Views(np.frombuffer(b"".join(encoded), np.uint8), start, length)

    @staticmethod
    def concat(parts: Sequence[Views]) -> Views:
        """Rows end to end. Over one shared buffer nothing is copied."""
        if len(parts) == 1:
            return parts[0]
        length = np.concatenate([each.length for each in parts])
        if all(each.buffer is parts[0].buffer for each in parts):
            return Views(parts[0].buffer, np.concatenate([each.start for each in parts]), length)
        whole = [each.compact() for each in parts]
        return Views(
            np.concatenate([each.buffer for each in whole]), np.cumsum(length, dtype=np.int64) - length, length
        )


@kernel("void(const uint8[::1], const int64[::1], const int32[::1], uint8[::1])")
def gather(buffer: ByteArray, start: npt.NDArray[np.int64], length: npt.NDArray[np.int32], into: ByteArray) -> None:
    """Copy rows end to end."""
    to = np.int64(0)
    for row in range(start.size):
        at = start[row]
        for byte in range(np.int64(length[row])):
            into[to + byte] = buffer[at + byte]
        to += np.int64(length[row])


def same_text(views: Views, text: ByteArray) -> npt.NDArray[np.bool_]:
    """Which rows are exactly these bytes."""
    found = np.empty(len(views), np.bool_)
    compare_text(views.buffer, np.ascontiguousarray(views.start), np.ascontiguousarray(views.length), text, found)
    return found


@kernel("void(const uint8[::1], const int64[::1], const int32[::1], const uint8[::1], boolean[::1])")
def compare_text(
    buffer: ByteArray,
    start: npt.NDArray[np.int64],
    length: npt.NDArray[np.int32],
    text: ByteArray,
    found: npt.NDArray[np.bool_],
) -> None:
    """Mark the rows that are exactly `text`."""
    for row in range(start.size):
        same = length[row] == text.size
        at = start[row]
        for byte in range(text.size if same else 0):
            if buffer[at + byte] != text[byte]:
                same = False
                break
        found[row] = same
