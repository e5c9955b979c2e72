"""The next-new-item task: shop sessions in time order (REES46), and the methods that name the next item.

A target is an event on an item that has not occurred in its session before, from the session's second event on. A
method answers before the event is admitted. Items of the session are nobody's candidates. See docs/quality-protocol.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

MINUTE_MS = 60_000
Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class View:
    """One event. `category`: the shop's category id."""

    time_ms: int
    session: str
    user: str
    item: str
    category: str
    kind: str
    title: str


@dataclass
class Sessions:
    """All events of a file; `tuning`, `test`: where the first target of each part stands."""

    all: list[View]
    targets: list[int]
    tuning: int
    test: int

    @staticmethod
    def read(path: Path) -> Sessions:
        import pyarrow.parquet  # an optional extra

        rows = pyarrow.parquet.read_table(path).sort_by("event_time").to_pylist()
        views = [_view(row) for row in rows if row["user_session"]]  # one row of the set has no session
        visited: dict[str, set[str]] = defaultdict(set)
        targets = []
        for place, view in enumerate(views):
            before = visited[view.session]
            if before and view.item not in before:
                targets.append(place)
            before.add(view.item)
        return Sessions(views, targets, targets[int(len(targets) * 0.5)], targets[int(len(targets) * 0.7)])


def _view(row: Mapping[str, Any]) -> View:
    time_ms = int(row["event_time"].timestamp() * 1000)
    title = " ".join(filter(None, [row["brand"], (row["category_code"] or "").replace(".", " ")]))
    return View(
        time_ms, row["user_session"], str(row["user_id"]), str(row["product_id"]), str(row["category_id"]),
        row["event_type"], title,
    )  # fmt: skip


class Method(Protocol):
    """Ranks items for the next event of a session."""

    def scores(self, view: View) -> Mapping[str, float]:
        """Before the event is admitted; only its session and time are looked at."""

    def observe(self, view: View) -> None:
        """Afterwards."""


@dataclass(frozen=True)
class Named:
    """One target and the list of one method. `seen`: the item occurred in the log before."""

    session: str
    wanted: str
    seen: bool
    top: tuple[str, ...]


def run(method: Method, sessions: Sessions, first: int, last: int, k: int = 20) -> Iterator[Named]:
    """Feed events up to `last`; answer the targets from `first` on."""
    known: set[str] = set()
    visited: dict[str, set[str]] = defaultdict(set)
    wanted = {place for place in sessions.targets if first <= place < last}
    for place, view in enumerate(sessions.all[:last]):
        if place in wanted:
            scores = method.scores(view)
            left = [(-score, item) for item, score in scores.items() if item not in visited[view.session]]
            left.sort()
            yield Named(view.session, view.item, view.item in known, tuple(item for _, item in left[:k]))
        method.observe(view)
        known.add(view.item)
        visited[view.session].add(view.item)


class Popular:
    """Items by events, of all time or the last `minutes`."""

    name = "popularity"
    grid: ClassVar[Grid] = {"minutes": (30, 60, 10_000)}

    def __init__(self, minutes: int = 60) -> None:
        self._window_ms = minutes * MINUTE_MS
        self._recent: deque[View] = deque()
        self.counts: Counter[str] = Counter()

    def scores(self, view: View) -> Mapping[str, float]:
        while self._recent and self._recent[0].time_ms <= view.time_ms - self._window_ms:
            self.counts[self._recent.popleft().item] -= 1
        return self.counts

    def observe(self, view: View) -> None:
        self._recent.append(view)
        self.counts[view.item] += 1


class PopularInCategory:
    """Popular items of the category looked at last, then the others."""

    name = "popular in last category"
    grid: ClassVar[Grid] = {"minutes": (30, 60, 10_000)}

    def __init__(self, minutes: int = 10_000) -> None:
        self._popular = Popular(minutes)
        self._category: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def scores(self, view: View) -> Mapping[str, float]:
        last = self._last.get(view.session)
        counts = self._popular.scores(view)
        return {item: n + (1e6 if self._category[item] == last else 0.0) for item, n in counts.items()}

    def observe(self, view: View) -> None:
        self._popular.observe(view)
        self._category[view.item] = view.category
        self._last[view.session] = view.category


class CoVisitation:
    """Pairs within a session, fading with their distance; scored from the last items, the newest weighing most."""

    name = "co-visitation"
    grid: ClassVar[Grid] = {"decay": (0.5, 0.7, 0.9), "seeds": (1, 3, 10), "seed_decay": (0.5, 0.8)}

    def __init__(self, decay: float = 0.7, seeds: int = 3, seed_decay: float = 0.8) -> None:
        self._decay, self._seeds, self._seed_decay = decay, seeds, seed_decay
        self._pairs: dict[str, Counter[str]] = defaultdict(Counter)
        self._history: dict[str, list[str]] = defaultdict(list)
        self._popular = Popular(10_000)

    def scores(self, view: View) -> Mapping[str, float]:
        made: dict[str, float] = {item: 1e-6 * n for item, n in self._popular.scores(view).items()}
        for back, item in enumerate(reversed(self._history[view.session][-self._seeds :])):
            for other, weight in self._pairs[item].items():
                made[other] = made.get(other, 0.0) + self._seed_decay**back * weight
        return made

    def observe(self, view: View) -> None:
        self._popular.observe(view)
        history = self._history[view.session]
        for back, item in enumerate(reversed(history[-10:])):
            if item != view.item:
                self._pairs[item][view.item] += self._decay**back
                self._pairs[view.item][item] += self._decay**back
        if not history or history[-1] != view.item:
            history.append(view.item)


class SessionNeighbours:
    """VS-kNN (Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018): the newest
    `sample` sessions that share an item, the `neighbours` most alike under weights that fade towards the session's
    start."""

    name = "VS-kNN"
    grid: ClassVar[Grid] = {"neighbours": (50, 100, 200), "weighting": ("linear", "quadratic"), "sample": (500, 1000)}

    def __init__(self, neighbours: int = 100, weighting: str = "linear", sample: int = 500) -> None:
        self._k, self._power, self._sample = neighbours, 1 if weighting == "linear" else 2, sample
        self._sessions: dict[str, dict[str, None]] = defaultdict(dict)
        self._with_item: dict[str, dict[str, None]] = defaultdict(dict)
        self._time: dict[str, int] = {}
        self._popular = Popular(10_000)

    def scores(self, view: View) -> Mapping[str, float]:
        made: dict[str, float] = {item: 1e-6 * n for item, n in self._popular.scores(view).items()}
        own = list(self._sessions[view.session])
        weights = {item: ((place + 1) / len(own)) ** self._power for place, item in enumerate(own)}
        others = {each for item in own for each in self._with_item[item]} - {view.session}
        newest = sorted(others, key=lambda each: (-self._time[each], each))[: self._sample]
        alike = [(sum(weights.get(item, 0.0) for item in self._sessions[each]), each) for each in newest]
        for likeness, each in sorted(alike, key=lambda pair: (-pair[0], pair[1]))[: self._k]:
            shared = max(place for place, item in enumerate(own) if item in self._sessions[each])
            fade = max(1 - 0.1 * (len(own) - 1 - shared), 0.0)
            for item in self._sessions[each]:
                made[item] = made.get(item, 0.0) + likeness * fade
        return made

    def observe(self, view: View) -> None:
        self._popular.observe(view)
        self._sessions[view.session].pop(view.item, None)
        self._sessions[view.session][view.item] = None
        self._with_item[view.item][view.session] = None
        self._time[view.session] = view.time_ms


BASELINES = (Popular, PopularInCategory, CoVisitation, SessionNeighbours)
