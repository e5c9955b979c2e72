"""Vectors of a text column: which text each row has, and the vector of each text once it is known.

An embedding is inexact (BLAS, model versions), so it is computed once, outside the step, and enters as a record: this
operator only remembers. `missing()` names the texts that wait; the node computes them in the background and appends
`(content key, vector)`; replay consumes the appended vectors and never runs the model. Equal texts share one vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE, Batch, Value
from nextpaint.record.types import BYTES, STRING


def content_key(text: str) -> str:
    """Names a text: 128-bit BLAKE2b, hex."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class TextVectors(Operator):
    """Ports: 0 = the item table's changes, 1 = computed vectors (content key, bytes).
    State: `texts`, item -> content key; `waiting`, content key -> text; `vectors`, content key -> int8 components;
    `users`, content key -> rows with that text."""

    def __init__(self, identity: str, columns: tuple[int, int], state: State) -> None:
        super().__init__(identity, (STRING, BYTES))
        self._item, self._text = columns
        self.texts = state.cell(identity, "texts")
        self._waiting = state.cell(identity, "waiting")
        self._vectors = state.cell(identity, "vectors")
        self._users = state.cell(identity, "users")
        self.arrived: set[str] = set()  # content keys whose vector came since a mirror looked

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        items, vectors = inputs
        if len(items):
            columns = items.columns[self._item].to_list(), items.columns[self._text].to_list()
            for kind, item, text in zip(items.kind.tolist(), *columns, strict=True):
                if kind == DELETE:
                    self._release(item)
                elif kind != UPDATE_BEFORE:
                    self._set(item, text)
        for key, vector in vectors.rows():
            if key in self._waiting and isinstance(key, str):
                self._waiting.pop(key)
                self._vectors.put(key, vector)
                self.arrived.add(key)
        return self.nothing

    def _set(self, item: Value, text: Value) -> None:
        key = content_key(text) if isinstance(text, str) and text.strip() else None
        if key == self.texts.get(item):
            return
        self._release(item)
        if key is None:
            return
        self.texts.put(item, key)
        self._users.put(key, self._users.get(key, 0) + 1)
        if self._vectors.get(key) is None:
            self._waiting.put(key, text)

    def _release(self, item: Value) -> None:
        key = self.texts.pop(item)
        if key is None:
            return
        users: int = self._users.get(key, 0) - 1
        if users:
            self._users.put(key, users)
        else:
            for cell in (self._users, self._waiting, self._vectors):
                cell.pop(key)

    def vector(self, item: Value) -> bytes | None:
        key = self.texts.get(item)
        return self.vector_of(key) if key is not None else None

    def vector_of(self, content: str) -> bytes | None:
        """The vector of a content key, once it is known."""
        found: bytes | None = self._vectors.get(content)
        return found

    @property
    def missing(self) -> int:
        """How many distinct texts wait for a vector."""
        return len(self._waiting)

    def waiting(self) -> Iterator[tuple[str, str]]:
        """(content key, text) of texts without a vector."""
        yield from self._waiting.items()
