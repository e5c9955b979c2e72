"""An approximate index in memory: HNSW graphs by usearch (`nextpaint[usearch]`).

A scan of every vector is exact and quicker up to tens of thousands of items (docs/vector-indexes.md has what was
measured). The graph depends on the order in which vectors came, and is rebuilt when a node starts. It holds signed
bytes: vectors of an item table are that already, and are built in and searched in half the time of floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.connect.signed_bytes import as_bytes
from nextpaint.record.errors import InvalidInput

CONNECTIVITY = 16
EXPANSION_ADD = 64
EXPANSION_SEARCH = 1024


class UsearchIndex:
    """See `engine.nearest.VectorIndex`. Empty at first; its dimensions are those of the first vectors."""

    def __init__(self) -> None:
        try:
            from usearch.index import Index
        except ImportError as error:
            raise InvalidInput(
                "usearch is not installed", where="[index]", cure="pip install 'nextpaint[usearch]'"
            ) from error
        self._make = Index
        self._index: Any = None
        self._number: dict[str, int] = {}
        self._id: dict[int, str] = {}
        self._digest: dict[str, str] = {}
        self._next = 0

    def known(self) -> Mapping[str, str]:
        return dict(self._digest)

    def write(self, ids: Sequence[str], vectors: npt.NDArray[np.float32], digests: Sequence[str]) -> None:
        if self._index is None:
            self._index = self._make(
                ndim=vectors.shape[1], metric="cos", dtype="i8", connectivity=CONNECTIVITY,
                expansion_add=EXPANSION_ADD, expansion_search=EXPANSION_SEARCH,
            )  # fmt: skip
        self.delete(ids)
        numbers = np.arange(self._next, self._next + len(ids), dtype=np.uint64)
        self._next += len(ids)
        self._index.add(numbers, as_bytes(vectors), threads=1)
        for number, id_, digest in zip(numbers.tolist(), ids, digests, strict=True):
            self._number[id_], self._id[number], self._digest[id_] = number, id_, digest

    def delete(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            number = self._number.pop(id_, None)
            if number is not None:
                self._index.remove(number)
                del self._id[number], self._digest[id_]

    def nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[str]:
        if not self._number:
            return []
        found = self._index.search(as_bytes(vector[None])[0], min(k, len(self._number)), threads=1)
        return [self._id[number] for number in found.keys.tolist() if number in self._id]

    def close(self) -> None:
        self._index = None
