"""Indexes of vectors beside the state: they follow an item table, and are searched before a decision.

An index is not exact, and may be another system. So its answer is an input of the decision, like a list the caller
brings: it is in the record, and a replay takes it from there. What it found is ordered by exact similarity and goes
through every filter. An item that is not in the table any more is dropped, whatever an index says; where an index fails
or has no time, every vector is searched.

    followed = nearest.follow("item_vectors", index)     written in batches, a moment after the table changed
    await nearest.found(searches, context, deadline)     ids by search; context() is of now

The index is derived: it is brought in line with the table when it begins to follow, and can be lost. While more than a
batch of changes is still to be written, every vector is searched: half an index would hide the other half.

What changed since then, the last `RECENT` items of it, is searched exactly as well, from the moment the table says it:
a graph that does not find its way to a new item, or has not got it yet, hides no change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nextpaint.decide.context import Context
from nextpaint.decide.order import top
from nextpaint.decide.retrieve import BoundSimilar
from nextpaint.decide.session import Similarities
from nextpaint.engine.node import Node
from nextpaint.engine.recent_vectors import RecentVectors
from nextpaint.process.reading import FloatArray
from nextpaint.process.vector_mirror import VectorMirror
from nextpaint.record.columns import Value
from nextpaint.record.errors import NotFound

POLL_S = 0.1  # a change is written at most this much later
BATCH = 256  # vectors written at once: searches wait for no more
OVERFETCH = 1.25  # found for every one wanted: exact order among them mends what the index mixed up at the end
RECENT = 4_096  # changed items that are searched exactly: 2 MB of vectors of 512, a tenth of a millisecond
COMPARED = 512  # vectors compared with what the index holds between two turns of the loop: about two milliseconds
RETRY_S = 1.0

Floats = npt.NDArray[np.float32]

log = logging.getLogger("nextpaint.index")


class VectorIndex(Protocol):
    """A searchable set of vectors by cosine similarity. Calls block, come from worker threads, one at a time."""

    def known(self) -> Mapping[str, str]:
        """What it holds: id -> digest, as they were written."""

    def write(self, ids: Sequence[str], vectors: Floats, digests: Sequence[str]) -> None:
        """Put or replace these; vectors has shape (ids, dimensions)."""

    def delete(self, ids: Sequence[str]) -> None:
        """Take these away; unknown ones are no error."""

    def nearest(self, vector: Floats, k: int) -> list[str]:
        """About the `k` nearest, in any order: whoever asks compares them exactly."""

    def close(self) -> None: ...


class Followed:
    """An index and the table it follows. `written`: changes it has been told; `failed`: what it last failed with."""

    def __init__(self, node: Node, table: str, index: VectorIndex) -> None:
        self.written = 0
        self.failed = ""
        self._node = node
        self._table = table
        self._index = index
        self._changed: set[Value] = set()
        self._differing: list[Value] = []  # when it began: what the index held otherwise, or not at all
        self._recent = RecentVectors(RECENT)  # what changed since, and is written or being written
        self._mirror: VectorMirror | None = None  # the one the index was compared with
        self._watched: VectorMirror | None = None  # the one that fills `_changed`
        self._lock = asyncio.Lock()
        self._task = asyncio.create_task(self._follow(), name=f"index-{table}")

    @property
    def current(self) -> bool:
        """Whether everything the table says has been written."""
        mirror = self._node.tables.vectors.get(self._table)
        if mirror is None or mirror is not self._mirror:
            return False
        mirror.refresh()
        return not self._changed and not self._differing and not self._lock.locked()

    @property
    def ready(self) -> bool:
        """Whether a search sees the table but for the last changes: it is compared, and at most a batch waits."""
        mirror = self._node.tables.vectors.get(self._table)
        if mirror is None or mirror is not self._mirror:
            return False
        return len(self._changed) + len(self._differing) + mirror.behind <= BATCH

    async def search(self, direction: FloatArray, k: int) -> list[str]:
        """About the `k` nearest, and those among which are the `k` nearest of what changed last, without order."""
        async with self._lock:
            found = await asyncio.to_thread(self._index.nearest, direction.astype(np.float32), k)
        waiting = [*self._changed, *self._differing]  # few, or `ready` was not
        return [*found, *map(str, self._recent.nearest(direction, k)), *map(str, waiting)]

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._watch(None)
        await asyncio.to_thread(self._index.close)

    async def _follow(self) -> None:
        while True:
            try:
                await self._catch_up()
                await asyncio.sleep(POLL_S)
            except Exception as error:  # a declared edge: another system's client may raise anything
                self.failed = f"{type(error).__name__}: {error}"[:300]
                log.warning("the index of %s: %s", self._table, self.failed)
                self._mirror = None  # what was half written is compared anew
                await asyncio.sleep(RETRY_S)

    async def _catch_up(self) -> None:
        mirror = self._node.tables.vectors.get(self._table)
        if mirror is None:
            return
        if mirror is not self._mirror:
            await self._attach(mirror)
        mirror.refresh()
        while self._changed or self._differing:
            changed = [self._changed.pop() for _ in range(min(BATCH, len(self._changed)))]
            more = BATCH - len(changed)
            batch = [*changed, *(self._differing[-more:] if more else ())]
            del self._differing[len(self._differing) - (len(batch) - len(changed)) :]
            known, vectors, gone = _parts(changed, mirror)
            self._recent.drop(gone)
            self._recent.put(known, vectors)
            async with self._lock:
                try:
                    await asyncio.to_thread(self._write, *_parts(batch, mirror))
                except BaseException:
                    self._changed.update(batch)
                    raise
            self.written += len(batch)

    async def _attach(self, mirror: VectorMirror) -> None:
        """Begin with another state of the table: whatever differs from what the index holds is a change."""
        async with self._lock:
            known = await asyncio.to_thread(self._index.known)
        view = mirror.view()
        self._watch(mirror)  # from here on the mirror says what changes while the rest is compared
        keys = list(view.keys)
        self._differing = [key for key in known if key not in view.slots]
        for at in range(0, len(keys), COMPARED):
            part = keys[at : at + COMPARED]
            self._differing += [key for key in part if not _same(known.get(str(key)), key, mirror)]
            await asyncio.sleep(0)
        self._mirror = mirror
        self.failed = ""

    def _watch(self, mirror: VectorMirror | None) -> None:
        """Be told of changes by this mirror and by no other."""
        if mirror is self._watched:
            return
        if self._watched is not None:
            watchers = self._watched.watchers
            watchers[:] = [each for each in watchers if each is not self._changed]
        self._watched = mirror
        if mirror is not None:
            mirror.watchers.append(self._changed)  # with what another one said and is not written yet

    def _write(self, ids: list[str], vectors: npt.NDArray[np.int8], gone: list[str]) -> None:
        """On a worker thread."""
        if gone:
            self._index.delete(gone)
        if ids:
            floats = vectors.astype(np.float32)
            self._index.write(ids, floats, [digest_of(row) for row in floats])


def _same(digest: str | None, key: Value, mirror: VectorMirror) -> bool:
    """Whether what the index holds is the vector that is there now."""
    if digest is None:
        return False
    view = mirror.view()
    slot = view.slots.get(key)
    return slot is not None and digest == digest_of(view.matrix[slot])


def _parts(batch: Sequence[Value], mirror: VectorMirror) -> tuple[list[str], npt.NDArray[np.int8], list[str]]:
    """What a batch of changed items is now: ids with their vectors, and ids without one."""
    view = mirror.view()
    there = [each for each in batch if each in view.slots]
    rows = view.matrix[np.array([view.slots[each] for each in there], np.int64)]  # a copy: the table may move on
    return [str(each) for each in there], rows, [str(each) for each in batch if each not in view.slots]


def digest_of(vector: npt.NDArray[Any]) -> str:
    """Names a vector, so that what an index holds can be compared without reading it."""
    return blake2b(np.ascontiguousarray(vector, np.float32).tobytes(), digest_size=8).hexdigest()


class Nearest:
    """The indexes of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._followed: dict[str, Followed] = {}

    @property
    def follows(self) -> bool:
        return bool(self._followed)

    def follow(self, table: str, index: VectorIndex) -> Followed:
        """Raises NotFound for a table that no surface searches."""
        if table not in self._node.tables.vectors:
            known = ", ".join(sorted(self._node.tables.vectors)) or "none"
            raise NotFound(f"no surface searches {table[:80]!r}", where="index", cure=f"tables of vectors: {known}")
        followed = self._followed[table] = Followed(self._node, table, index)
        return followed

    async def found(
        self, searches: Sequence[BoundSimilar], context_now: Callable[[], Context], deadline_ns: int
    ) -> dict[str, tuple[str, ...]]:
        """What the indexes find for these searches, by name, before the deadline: the most similar first, by exact
        similarity. Searches without an index, without a session, or whose index failed are missing."""
        asked: dict[str, _Asked] = {}
        context = context_now()
        for search in searches:
            followed = self._followed.get(search.session.table)
            if followed is not None and not followed.ready:
                self._node.observed.counters.add("index_behind")
                continue
            session = search.session.similarities(context) if followed is not None else None
            if followed is not None and session is not None:
                count = int(search.k * OVERFETCH) + 1
                task = asyncio.create_task(followed.search(session.direction(), count))
                asked[search.name] = _Asked(search, count, task)
        if not asked:
            return {}
        left_s = (deadline_ns - self._node.ports.clock.monotonic_ns()) / 2e9  # the rest is for deciding
        await asyncio.wait([each.task for each in asked.values()], timeout=max(left_s, 0.0))
        found, context = {}, context_now()  # rows may have moved meanwhile
        for name, each in asked.items():
            if each.task.done() and each.task.exception() is None:
                found[name] = _best(each.task.result(), each.search.session.similarities(context), each.count)
                continue
            self._node.observed.counters.add("index_missed")
            each.task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return found

    async def close(self) -> None:
        for followed in self._followed.values():
            await followed.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search that an index was asked for, and how many it shall find."""

    search: BoundSimilar
    count: int
    task: asyncio.Task[list[str]]


def _best(found: Sequence[str], session: Similarities | None, count: int) -> tuple[str, ...]:
    """The `count` most similar of what was found, by exact similarity; those without a vector now are gone."""
    if session is None:
        return ()
    slots = session.vectors.slots
    there = [each for each in dict.fromkeys(found) if each in slots]
    scores = session.scores(np.array([slots[each] for each in there], np.int64))
    return tuple(there[at] for at in top(scores, lambda index: there[index], count))
