"""Simulated viewers: an evening of watching for a demonstration, made by a small model. They are not people.

Every call carries `context.simulated = true`, and whoever shows them says so. A viewer is a pure function of its seed,
its catalogue and the pages it was shown: no clock, no other source of chance.

The model, for one page of titles at positions 1, 2, 3...:

* Taste: a weight per kind. A new viewer has two favourites (weight 1 and 0.5); every other weighs `INDIFFERENCE`.
* Choice: from the top, a title at position p is looked at with probability `LOOK_FURTHER ** (p - 1)`, and one that is
  looked at is begun with probability `BEGIN_AT_BEST` times its kind's weight. One title a page at most: the examination
  model of `shoppers`, with another curve, for a film takes longer than a look at a lamp.
* Watching: the story has four quarters. At the end of each of the first three the viewer leaves with probability
  `LEAVE_AT_WORST` times (1 - weight) plus `LEAVE_ANYWAY`. Who stays sends Video Content Playing, at the end of the
  fourth Video Content Completed; who leaves sends Video Playback Exited from the middle of the quarter.
* Time is short: a quarter takes `QUARTER_MS`, whatever the running time; the playhead says where it is in the film.
* Mood drifts: before each page, with probability `DRIFT`, the favourite becomes second and a new one is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nextpaint.connect.replay import iso_time
from nextpaint.ports.random import SeededRandom

Call = dict[str, Any]

INDIFFERENCE = 0.06
LOOK_FURTHER = 0.9
BEGIN_AT_BEST = 0.5
LEAVE_AT_WORST = 0.4
LEAVE_ANYWAY = 0.03
DRIFT = 0.05
QUARTER_MS = (1_200, 3_500)
THINK_MS = (1_500, 7_000)


@dataclass(frozen=True, slots=True)
class Film:
    """What a viewer knows of a title: its kind and its running time in seconds."""

    kind: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing a viewer does, `pause_ms` after the last one."""

    pause_ms: int
    event: str
    properties: Mapping[str, Any]


class Viewer:
    """One simulated viewer. `films`: item id to film; an item without one is of no interest."""

    def __init__(self, seed: int, films: Mapping[str, Film]) -> None:
        self.anonymous_id = f"simulated-viewer-{seed}"
        self._chance = SeededRandom(seed)
        self._films = films
        self._kinds = sorted({film.kind for film in films.values()})
        self._favourites: list[str] = []
        while len(self._favourites) < min(2, len(self._kinds)):
            self._favourites.append(self._one_of([kind for kind in self._kinds if kind not in self._favourites]))
        self._calls = 0

    @property
    def taste(self) -> dict[str, float]:
        """Weight per kind, in (0, 1]."""
        taste = dict.fromkeys(self._kinds, INDIFFERENCE)
        for weight, kind in zip((1.0, 0.5), self._favourites, strict=False):
            taste[kind] = weight
        return taste

    def think_ms(self) -> int:
        """The pause until this viewer asks for the next page."""
        return self._within(THINK_MS)

    def react(self, answer: Mapping[str, Any]) -> list[Moment]:
        """What the viewer does with a decision's answer (`decision_id`, `items` with `id`): looks at the page, then
        perhaps watches one title, to its end or not."""
        self._drift()
        items: Sequence[Mapping[str, Any]] = answer.get("items", ())
        if not items:
            return []
        shown = [{"item_id": item["id"], "position": place} for place, item in enumerate(items, start=1)]
        moments = [Moment(0, "Impression", {"decision_id": answer.get("decision_id"), "items": shown})]
        chosen = self._chosen(items)
        return moments if chosen is None else [*moments, *self._watched(chosen, answer.get("decision_id"))]

    def call(self, moment: Moment, time_ms: int) -> Call:
        """The Segment call of a moment at `time_ms`."""
        self._calls += 1
        return {
            "type": "track",
            "event": moment.event,
            "anonymousId": self.anonymous_id,
            "messageId": f"{self.anonymous_id}-{time_ms}-{self._calls}",
            "timestamp": iso_time(time_ms),
            "properties": dict(moment.properties),
            "context": {"simulated": True},
        }

    def _chosen(self, items: Sequence[Mapping[str, Any]]) -> str | None:
        taste = self.taste
        for place, item in enumerate(items):
            film = self._films.get(str(item["id"]))
            weight = 0.0 if film is None else taste.get(film.kind, 0.0)
            if self._uniform() < LOOK_FURTHER**place * BEGIN_AT_BEST * weight:
                return str(item["id"])
        return None

    def _watched(self, item_id: str, decision_id: Any) -> list[Moment]:
        film = self._films[item_id]
        leaves = LEAVE_AT_WORST * (1 - self.taste.get(film.kind, 0.0)) + LEAVE_ANYWAY

        def at(share: float, event: str, pause_ms: int) -> Moment:
            about = {"item_id": item_id, "content_asset_id": item_id, "decision_id": decision_id}
            return Moment(
                pause_ms, event, {**about, "position": int(share * film.seconds), "total_length": film.seconds}
            )

        moments = [at(0.0, "Video Content Started", 300)]
        for quarter in (1, 2, 3):
            if self._uniform() < leaves:
                return [*moments, at(quarter / 4 - 0.125, "Video Playback Exited", self._within(QUARTER_MS) // 2)]
            moments.append(at(quarter / 4, "Video Content Playing", self._within(QUARTER_MS)))
        return [*moments, at(1.0, "Video Content Completed", self._within(QUARTER_MS))]

    def _uniform(self) -> float:
        """In [0, 1), with the 53 bits a float holds."""
        return (self._chance.uint64() >> 11) * 2.0**-53

    def _within(self, bounds: tuple[int, int]) -> int:
        return bounds[0] + int(self._uniform() * (bounds[1] - bounds[0]))

    def _one_of(self, names: Sequence[str]) -> str:
        return names[int(self._uniform() * len(names))]

    def _drift(self) -> None:
        if len(self._kinds) > 2 and self._uniform() < DRIFT:
            others = [kind for kind in self._kinds if kind not in self._favourites]
            self._favourites = [self._one_of(others), self._favourites[0]]
