"""Background work of a node: computing vectors, in small pieces, on a worker thread.

What is computed enters as a record like any other (topic `_vectors`): replay consumes it and never runs the model.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Collection
from itertools import islice

import msgspec

from nextpaint.models.embedding import Embedder
from nextpaint.ports import Workers
from nextpaint.process.graph import VECTORS
from nextpaint.process.operators.vectors import TextVectors
from nextpaint.record.codec import Record
from nextpaint.record.errors import NextpaintError
from nextpaint.stream.frame import Draft, Entry, EntryKind, Frame

TEXTS_AT_ONCE = 16  # about 25 ms of one worker: fine-grained enough to share two cores with everything else

Append = Callable[[Draft, Callable[[Frame, Entry, int], None]], None]

log = logging.getLogger("nextpaint.engine")

_encode = msgspec.json.Encoder().encode


class VectorWork:
    """Keeps the vectors of all text columns complete. `append` writes a draft to the ledger and calls back when it is
    durable."""

    def __init__(self, embedder: Embedder, workers: Workers, append: Append) -> None:
        self._embedder = embedder
        self._workers = workers
        self._append = append
        self._busy = False
        self._loaded = False
        self._sent: set[str] = set()  # computed, not durable yet or not applied yet
        self._durable: set[str] = set()  # those of them that are durable
        self.failed: str | None = None

    def poke(self, sources: Collection[TextVectors], now_ms: int) -> None:
        """Start a piece of work, as `start` does, when nothing durable waits to be applied: a text that still waits
        though its vector is durable came back after the vector was applied (a title that changed to and fro), and is
        computed again."""
        self._sent -= self._durable
        self._durable.clear()
        self.start(sources, now_ms)

    def start(self, sources: Collection[TextVectors], now_ms: int) -> None:
        """Start a piece of work if any text waits and none is being computed. With texts that all have their vectors,
        as after a start, the first piece is an empty one: it loads the model before an item needs it.

        Called between slices too: under steady traffic a node may not be idle for seconds, and a new item is not to
        wait for that."""
        if self._busy or self.failed:
            return
        waiting = (each for source in sources for each in source.waiting() if each[0] not in self._sent)
        texts = dict(islice(waiting, TEXTS_AT_ONCE))
        if not texts and (self._loaded or not any(len(source.texts) for source in sources)):
            return
        self._busy = True
        contents = list(texts)

        def done(vectors: list[bytes] | None, error: BaseException | None) -> None:
            self._busy = False
            if vectors is None:
                self.failed = f"the embedding model failed: {error}"
                log.error("%s; new and changed texts get no vectors until this node is started again", self.failed)
                return
            self._loaded = True
            if not contents:
                return
            made = zip(contents, vectors, strict=True)
            records = [_record(content, vector, self._embedder.identity, now_ms) for content, vector in made]
            self._sent.update(contents)
            self._append(Draft(VECTORS.name, EntryKind.INPUT, records), lambda *_: self._durable.update(contents))

        self._workers.submit(lambda: self._embedder.encode(list(texts.values())), done)


def _record(content: str, vector: bytes, model: str, now_ms: int) -> Record:
    value = _encode({"content": content, "vector": base64.b64encode(vector).decode(), "model": model})
    return Record(content.encode(), value, now_ms)


class _Made(msgspec.Struct):
    model: str = ""


def model_of(record: Record) -> str:
    """The identity of the model that made a vector; '' in records of early versions, which do not say."""
    return msgspec.json.decode(record.value or b"{}", type=_Made).model


def require_same(embedder: Embedder, made_by: str) -> None:
    """Raises NextpaintError where the vectors that are there were made by another model: they cannot be compared."""
    if made_by and made_by != embedder.identity:
        raise NextpaintError(
            f"the vectors in this data directory were made by {made_by}, and this node has {embedder.identity}",
            where="embedding model",
            cure="install the version that made them, or load the items into an empty data directory",
        )
