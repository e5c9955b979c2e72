"""What a stage may know: the state at one position, the request, the person's tokens, the time and the seed.

One context lives for one decision. It is the only way stages read state; equal readings and equal requests give equal
results. Reads are remembered, so two stages that need the same thing pay once. `subjects` is empty for an unknown or
unprofiled person: every personal read loops over it, so a decision without profiling touches no personal table at all.

Personal rows of several tokens (a person's devices) are united here: lists merge by time, numbers add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from nextpaint.decide.budget import Paths
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.request import DecisionRequest
from nextpaint.process.reading import Reading, Row, Whole
from nextpaint.record.columns import Column, IntArray

T = TypeVar("T")

Event = tuple[str, float, int]  # item id, weight, event time in ms


@dataclass(frozen=True, slots=True)
class ListPath:
    """A LAST_N column of a table keyed by subject: where an element keeps its item, weight and time. No weight: 1."""

    table: str
    column: str
    item: int
    time: int
    weight: int | None = None

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Moment:
    """What the outside gives a decision. `time_ms`: the event time it is made at, the reading's; `deadline_ns`: on the
    monotonic clock, None for the window's own; `paths`: those of a record that is being replayed; `pressed`: other
    decisions wait, so what the answer does not depend on is left out."""

    decision_id: str
    time_ms: int
    seed: int
    deadline_ns: int | None = None
    paths: Paths | None = None
    pressed: bool = False


class Context:
    """The situation of one decision; see the module's docstring. Stages treat it as read-only but for `note`."""

    __slots__ = (
        "_memory", "effects", "items", "items_table", "known", "limit", "notes", "probabilities", "rankers", "reading",
        "request", "seed", "subjects", "time_ms", "unknown",
    )  # fmt: skip

    def __init__(
        self, reading: Reading, items_table: str, request: DecisionRequest, subjects: Sequence[str], moment: Moment
    ) -> None:
        self.reading = reading
        self.items_table = items_table
        self.items: Whole = reading.whole(items_table)
        self.request = request
        self.subjects = tuple(dict.fromkeys(subjects)) if request.profiled else ()
        self.time_ms = moment.time_ms
        self.seed = moment.seed
        self.limit = 0  # answers wanted; set by the pipeline
        self.rankers: Any = None  # (file, sha256) -> a loaded model; set by the decider
        self.probabilities = False  # whether the ranker's scores are reward rates; set by the pipeline
        self.known = False  # whether a read found anything about this person
        self.unknown = 0  # ids that are not in the items table
        self.notes: list[str] = []
        self.effects: dict[tuple[str, str], list[tuple[str, int, int]]] = {}  # (rule, why) -> item, place before, after
        self._memory: dict[Any, Any] = {}

    def note(self, text: str) -> None:
        """A short remark of the running stage; it goes into the record."""
        self.notes.append(text)

    def moved(self, rule: str, why: str, item: str, places: tuple[int, int]) -> None:
        """A rule moved an item from one place of the ranking to another (from 1; to 0: off the list)."""
        self.effects.setdefault((rule, why), []).append((item, *places))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """`make()`, computed at most once per decision for `key`."""
        memory = self._memory
        if key in memory:
            return cast(T, memory[key])
        value = memory[key] = make()
        return value

    def of_batch(self, key: object, candidates: Candidates, make: Callable[[], T]) -> T:
        """`make()` for this very batch; the result for the last batch asked about is remembered."""
        known = self._memory.get(key)
        if known is None or known[0] is not candidates:
            known = self._memory[key] = (candidates, make())
        return cast(T, known[1])

    def recall(self, key: object) -> Any:
        """What `once` or `remember` holds for `key`, or None."""
        return self._memory.get(key)

    def remember(self, key: object, value: object) -> None:
        self._memory[key] = value

    def whole(self, table: str) -> Whole:
        """All rows of a table with a one-column key."""
        return (
            self.items if table == self.items_table else self.once(("whole", table), lambda: self.reading.whole(table))
        )

    def column(self, table: str, column: str) -> Column:
        """One value per slot of `whole(table)`, as of the decision's time."""
        return self.once(("column", table, column), lambda: self.whole(table).column(column))

    def places(self, table: str, other: str) -> IntArray:
        """For each slot of `table` the slot of the same key in `other`, -1 where there is none."""
        return self.once(("places", table, other), lambda: self.reading.places(table, other))

    def found(self, ids: Sequence[str], scores: FloatArray | Sequence[float] | None = None) -> Candidates:
        """Candidates for `ids` (unique, best first), shape of scores (len(ids),). Ids that are not in the items table
        are dropped and counted."""
        slots = self.items.slots
        held = np.array([slots.get(each, -1) for each in ids], np.int64)
        values = np.zeros(len(ids), np.float64) if scores is None else np.asarray(scores, np.float64)
        return self.found_at(held, values)

    def found_at(self, slots: IntArray, scores: FloatArray) -> Candidates:
        """As `found`, for items whose slots are known (-1: not in the items table); both of shape (n,)."""
        known = slots >= 0
        if not known.all():
            self.unknown += len(slots) - int(known.sum())
            slots, scores = slots[known], scores[known]
        return Candidates(slots, scores, np.zeros(len(slots), np.int64), self.items.keys)

    def rows(self, table: str, prefix: tuple[Any, ...]) -> Sequence[Row]:
        """The rows of `table` whose first key columns equal `prefix`, ordered by the rest of the key."""
        return self.once((table, prefix), lambda: self.reading.rows(table, prefix))

    def recent(self, path: ListPath) -> tuple[Event, ...]:
        """The person's list under `path`, newest first, united over tokens (ties: item, then weight)."""
        return self.once(path, lambda: self._recent(path))

    def _recent(self, path: ListPath) -> tuple[Event, ...]:
        item, time, weight = path.item, path.time, path.weight
        events: list[Event] = []
        for subject in self.subjects:
            row = self.reading.row(path.table, (subject,))
            elements = cast("list[tuple[Any, ...]] | None", row[path.column] if row is not None else None)
            for element in elements or ():
                value = 1.0 if weight is None else element[weight]
                if element[item] is not None and element[time] is not None and value is not None:
                    events.append((element[item], float(value), element[time]))
        events.sort(key=lambda event: (-event[2], event[0], -event[1]))
        return tuple(events)
