"""Memory of large tables in large pages: a look at a row of a table of many megabytes otherwise costs a walk through
the page tables of the system as well, which on a virtual machine is as much as the look itself.

A table asks for piece after piece. The first ones are ordinary memory, so that a small table takes no more than it
needs; later ones are cut from mappings for which the system is asked for large pages. Where it has none nothing is
different. All is zero, and given back with the last piece of a mapping.
"""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.int64]

PAGE_BYTES = 2 << 20
_MAPPING_BYTES = 2 * PAGE_BYTES
_ORDINARY_BYTES = 1 << 20  # of a table's memory


class HugeMemory:
    """The memory of one table."""

    __slots__ = ("_given", "_rest")

    def __init__(self) -> None:
        self._given = 0
        self._rest: Words = np.empty(0, np.int64)

    def zeros(self, words: int) -> Words:
        """So many words, all zero."""
        self._given += 8 * words
        if self._given <= _ORDINARY_BYTES:
            return np.zeros(words, np.int64)
        if len(self._rest) < words:
            self._rest = _mapped(max(_MAPPING_BYTES, -(-8 * words // PAGE_BYTES) * PAGE_BYTES))
        found, self._rest = self._rest[:words], self._rest[words:]
        return found


def _mapped(size: int) -> Words:
    """Zeroed words that begin at a large page."""
    # Shared memory, for which large pages are off unless somebody turned them on (shmem_enabled): where memory is fresh
    # the system takes milliseconds to zero one, which a step should not wait for without being asked.
    mapping = mmap.mmap(-1, size + PAGE_BYTES)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            mapping.madvise(mmap.MADV_HUGEPAGE)
        except OSError:  # a system built without them
            pass
    whole = np.frombuffer(mapping, np.int64)
    skipped = -whole.ctypes.data % PAGE_BYTES // 8
    return whole[skipped : skipped + size // 8]
