"""What a surface's exploration has learned: trials and rewards joined to the decisions that caused them, once each.

Ports: 0 = explored decisions (`EXPLORED`), 1 = trials (decision_id, item_id), 2 = rewards (decision_id, item_id, value,
ts). A trial is an impression of an answered item of a decision of this learner; it counts once. A reward counts once
per answered item, if it happened at most `within_ms` after the decision (event time) and the item was shown; it may
arrive before its trial. What does not count is counted by its reason in `counts`:

* `unattributed`: a reward that names no decision, or an item its decision did not answer;
* `elsewhere`: its decision is not one of this learner's, or was forgotten (ledger time: `within_ms + keep_ms`);
* `late`, `repeated` (trials or rewards told again), `unshown` (rewarded, forgotten without a trial).

An arm is a string. Beta statistics of an arm are the examined trials and the rewards (in 0..1) among them; both fade
with `half_life_ms`, as do the totals. A linear arm also keeps the inverse of A = ridge*I + sum(e x x') and
b = sum(x (r - e m)), e the examination and m the prior mean the decision logged, updated with Sherman and Morrison's
formula in ledger order, elementwise, so the bits are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.decay import decay, decay_array
from nextpaint.process.operators.protocol import ROW, Operator, Row, StepContext, merged
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE, Batch
from nextpaint.record.types import BIGINT, DOUBLE, STRING, TIMESTAMP, Field, array

FloatArray = npt.NDArray[np.float64]

EXPLORED_FIELDS = (
    Field("decision_id", STRING), Field("learner", STRING), Field("ts", TIMESTAMP), Field("items", array(STRING)),
    Field("arms", array(STRING)), Field("examined", array(DOUBLE)), Field("means", array(DOUBLE)),
    Field("priors", array(DOUBLE)), Field("contexts", array(DOUBLE)),
)  # fmt: skip

SHOWN, REWARDED = 1, 2
PLACES_MAX = 200  # positions whose examination is estimated: a page holds no more


@dataclass(frozen=True, slots=True)
class LearnerSpec:
    """How a learner learns. `width`: length of a linear arm's context, 0 for Beta statistics. `half_life_ms` 0: never
    fades."""

    within_ms: int
    keep_ms: int
    half_life_ms: int = 0
    width: int = 0
    ridge: float = 1.0


class Told(NamedTuple):
    """A decision that waits for its outcomes. `states`: one byte per item, SHOWN | REWARDED; `values`: rewards that
    came before their trial."""

    time_ms: int
    items: tuple[str, ...]
    arms: tuple[str, ...]
    examined: tuple[float, ...]
    means: tuple[float, ...]
    priors: tuple[float, ...]
    contexts: tuple[float, ...]
    states: bytes
    values: tuple[float, ...]


class Learning(Operator):
    """State: `decisions`, id -> Told; `order`, ordinal -> (due, id) with `head` and `next`; `arms`, arm -> (trials,
    rewards, anchor); `models`, arm -> (inverse, b, theta) as little-endian float64; `places`, index -> (expected,
    rewards); `total`; `counts`."""

    def __init__(self, identity: str, name: str, spec: LearnerSpec, state: State) -> None:
        super().__init__(identity, (STRING, BIGINT))
        self.name = name
        self.spec = spec
        self._decisions = state.cell(identity, "decisions")
        self._order = state.cell(identity, "order")
        self._arms = state.cell(identity, "arms")
        self._models = state.cell(identity, "models")
        self._places = state.cell(identity, "places")
        self._total = state.cell(identity, "total")
        self._counts = state.cell(identity, "counts")
        self.watch: Callable[[str, str, float], None] | None = None  # told of every counted (decision, item, reward)

    # ------------------------------------------------------------ reading

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted and what was not, by reason."""
        return dict(sorted(self._counts.items()))

    @property
    def waiting(self) -> int:
        """Decisions that may still be rewarded."""
        return len(self._decisions)

    def arms(self) -> list[str]:
        """Every arm that was tried, in order of its name."""
        return sorted(key for key, _ in self._arms.items())

    def statistics(self, arms: Sequence[str], as_of_ms: int) -> tuple[FloatArray, FloatArray]:
        """Examined trials and rewards of each arm as of a time, shapes (n,)."""
        found = [self._arms.get(arm, _NEVER) for arm in arms]
        trials, rewards = (np.array([each[place] for each in found], np.float64) for place in (0, 1))
        if self.spec.half_life_ms:
            ages = np.array([max(as_of_ms - each[2], 0) for each in found], np.int64)
            trials, rewards = (decay_array(each, ages, self.spec.half_life_ms) for each in (trials, rewards))
        return trials, rewards

    def total(self, as_of_ms: int) -> tuple[float, float]:
        """Examined trials and rewards of all arms together."""
        return self._faded(self._total.get(0, _NEVER), as_of_ms)[:2]

    def models(self, arms: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Theta, shape (n, width), and the inverse of A, shape (n, width, width), of each arm as of its last change."""
        width = self.spec.width
        fresh = self._fresh()
        found = [self._models.get(arm, fresh) for arm in arms]
        inverse = np.frombuffer(b"".join(each[0] for each in found), "<f8").reshape(len(found), width, width)
        theta = np.frombuffer(b"".join(each[2] for each in found), "<f8").reshape(len(found), width)
        return theta, inverse

    def places(self) -> tuple[FloatArray, FloatArray]:
        """By place on the page: the rewards that were expected if everything were examined, and those that came."""
        found = [self._places.get(place, (0.0, 0.0)) for place in range(PLACES_MAX)]
        return np.array([each[0] for each in found]), np.array([each[1] for each in found])

    # ------------------------------------------------------------ forward

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        rows = [batch.rows() for batch in inputs]
        kinds = [batch.kind.tolist() for batch in inputs]
        ats = [context.at(batch.seq).tolist() if len(batch) else [] for batch in inputs]
        for what, port, index, _ in merged(inputs):
            if what != ROW or kinds[port][index] in (UPDATE_BEFORE, DELETE):
                continue
            at_ms = ats[port][index]
            self._forget(at_ms)
            if port == 0:
                self._decided(rows[0][index], at_ms)
            elif port == 1:
                self._tried(rows[1][index], at_ms)
            else:
                self._rewarded(rows[2][index], at_ms)
        return self.nothing

    def _count(self, what: str) -> None:
        self._counts.put(what, self._counts.get(what, 0) + 1)

    def _decided(self, row: Row, at_ms: int) -> None:
        decision, learner, time_ms, items, arms, examined, means, priors, contexts = row
        if learner != self.name or decision in self._decisions:
            return
        size = len(items)  # type: ignore[arg-type]
        told = Told(time_ms, items, arms, examined, means, priors, contexts, bytes(size), (0.0,) * size)  # type: ignore[arg-type]
        self._decisions.put(decision, tuple(told))
        ordinal: int = self._order.get("next", 0)
        self._order.put(ordinal, (at_ms + self.spec.within_ms + self.spec.keep_ms, decision))
        self._order.put("next", ordinal + 1)
        self._count("decisions")

    def _forget(self, at_ms: int) -> None:
        """Drop decisions that are too old to be rewarded; they leave in the order they came."""
        head: int = self._order.get("head", 0)
        start = head
        while (entry := self._order.get(head)) is not None and entry[0] <= at_ms:
            stored = self._decisions.pop(entry[1])
            if stored is not None:  # else of somebody who was erased
                for state in Told(*stored).states:
                    if state == REWARDED:
                        self._count("unshown")
            self._order.pop(head)
            head += 1
        if head != start:
            self._order.put("head", head)

    def _tried(self, row: Row, at_ms: int) -> None:
        found = self._found(row)
        if found is None:
            return
        told, place = found
        state = told.states[place]
        if state & SHOWN:
            self._count("repeated")
            return
        self._keep(row[0], told, place, state | SHOWN, told.values[place])
        self._tell(row, told.values[place])
        self._count("trials")
        examined, arm = told.examined[place], told.arms[place]
        before_ms: int = self._arms.get(arm, _NEVER)[2]
        self._add(arm, examined, 0.0, at_ms)
        if place < PLACES_MAX:
            expected, rewards = self._places.get(place, (0.0, 0.0))
            self._places.put(place, (expected + told.means[place], rewards))
        if self.spec.width:
            self._age_model(arm, before_ms, at_ms)
            self._regress(arm, self._context(told, place), examined, -examined * told.priors[place])
        if state & REWARDED:
            self._reward(told, place, told.values[place], at_ms)

    def _rewarded(self, row: Row, at_ms: int) -> None:
        decision, _, value, time_ms = row
        if not isinstance(value, float) or value <= 0.0:
            return
        if decision is None:
            self._count("unattributed")
            return
        if decision not in self._decisions:
            self._count("elsewhere")
            return
        found = self._found(row)
        if found is None:
            self._count("unattributed")
            return
        told, place = found
        state = told.states[place]
        if state & REWARDED:
            self._count("repeated")
        elif isinstance(time_ms, int) and time_ms - told.time_ms > self.spec.within_ms:
            self._count("late")
        else:
            value = value if self.spec.width else min(value, 1.0)
            self._keep(decision, told, place, state | REWARDED, value)
            if state & SHOWN:
                self._tell(row, value)
                self._reward(told, place, value, at_ms)

    def _tell(self, row: Row, value: float) -> None:
        if self.watch is not None:
            self.watch(str(row[0]), str(row[1]), value)

    def _found(self, row: Row) -> tuple[Told, int] | None:
        """The decision a trial or reward names and the item's place in it, both known to this learner."""
        stored = self._decisions.get(row[0])
        if stored is None or row[1] not in stored[1]:
            return None
        return Told(*stored), stored[1].index(row[1])

    def _keep(self, decision: object, told: Told, place: int, state: int, value: float) -> None:
        states = told.states[:place] + bytes([state]) + told.states[place + 1 :]
        values = (*told.values[:place], value, *told.values[place + 1 :])
        self._decisions.put(decision, tuple(told._replace(states=states, values=values)))

    def _reward(self, told: Told, place: int, value: float, at_ms: int) -> None:
        self._count("rewards")
        self._add(told.arms[place], 0.0, value, at_ms)
        if place < PLACES_MAX:
            expected, rewards = self._places.get(place, (0.0, 0.0))
            self._places.put(place, (expected, rewards + value))
        if self.spec.width:
            self._regress(told.arms[place], self._context(told, place), 0.0, value)

    def _context(self, told: Told, place: int) -> FloatArray:
        width = self.spec.width
        return np.array(told.contexts[place * width : (place + 1) * width], np.float64)

    # ------------------------------------------------------------ statistics

    def _faded(self, held: tuple[float, float, int], at_ms: int) -> tuple[float, float, int]:
        trials, rewards, anchor = held
        if not self.spec.half_life_ms or at_ms <= anchor:
            return trials, rewards, max(anchor, at_ms)
        age = at_ms - anchor
        return decay(trials, age, self.spec.half_life_ms), decay(rewards, age, self.spec.half_life_ms), at_ms

    def _add(self, arm: str, trials: float, rewards: float, at_ms: int) -> None:
        for cell, key in ((self._arms, arm), (self._total, 0)):
            before = self._faded(cell.get(key, _NEVER), at_ms)
            cell.put(key, (before[0] + trials, before[1] + rewards, before[2]))

    def _fresh(self) -> tuple[bytes, bytes, bytes]:
        width = self.spec.width
        zero = bytes(8 * width)
        return (np.eye(width) / self.spec.ridge).astype("<f8").tobytes(), zero, zero

    def _age_model(self, arm: str, before_ms: int, at_ms: int) -> None:
        """Let what a linear arm knows fade: A and b lose a factor, so theta stays and its doubt grows, up to that of a
        new arm."""
        stored = self._models.get(arm)
        if stored is None or not self.spec.half_life_ms or at_ms <= before_ms:
            return
        width = self.spec.width
        inverse = np.frombuffer(stored[0], "<f8").reshape(width, width)
        most = 1.0 / (self.spec.ridge * float(inverse.diagonal().max()))
        factor = min(1.0 / decay(1.0, at_ms - before_ms, self.spec.half_life_ms), max(most, 1.0))
        b = np.frombuffer(stored[1], "<f8") / factor
        self._models.put(arm, ((inverse * factor).astype("<f8").tobytes(), b.astype("<f8").tobytes(), stored[2]))

    def _regress(self, arm: str, x: FloatArray, weight: float, moved: float) -> None:
        """A += weight x x'; b += moved x."""
        width = self.spec.width
        stored = self._models.get(arm, self._fresh())
        inverse = np.frombuffer(stored[0], "<f8").reshape(width, width)
        b = np.frombuffer(stored[1], "<f8") + moved * x
        if weight > 0.0:
            u = times(inverse, x)
            inverse = inverse - (weight / (1.0 + weight * float(inner(u, x)))) * (u[:, None] * u[None, :])
        theta = times(inverse, b)
        self._models.put(arm, tuple(np.asarray(each, "<f8").tobytes() for each in (inverse, b, theta)))


_NEVER = (0.0, 0.0, 0)


def inner(first: FloatArray, second: FloatArray) -> FloatArray:
    """Inner product over the last axis, summed from left to right: no BLAS, whose order differs between machines."""
    total = first[..., 0] * second[..., 0]
    for index in range(1, first.shape[-1]):
        total = total + first[..., index] * second[..., index]
    return np.asarray(total, np.float64)


def times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Matrix times vector over the last axes, shapes (..., k, k) and (..., k), summed from left to right."""
    total = matrix[..., :, 0] * vector[..., 0, None]
    for index in range(1, vector.shape[-1]):
        total = total + matrix[..., :, index] * vector[..., index, None]
    return np.asarray(total, np.float64)
