"""One decision, stage by stage: retrieve -> filter -> (cold) -> features -> rank -> (explore) -> rules.

Every path ends in the filters: whatever list an answer is taken from, it went through `_filter`. Stages that have no
time are replaced (see `budget`); filters and rules never are. The pipeline computes; recording and wording are other
files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.decide.binding import BoundSurface, Named
from nextpaint.decide.budget import RUN, UNTIL_TRAINED, Timeline
from nextpaint.decide.candidates import Candidates, append, merge
from nextpaint.decide.context import Context
from nextpaint.decide.exploration import Explored, explore
from nextpaint.decide.fallback import Memory
from nextpaint.decide.feature import read_features
from nextpaint.decide.merchandising import Marks, apply, in_force, pinned
from nextpaint.decide.model import BoundModel, Chosen, is_rate
from nextpaint.decide.rank import BoundWeighted
from nextpaint.decide.retrieve import given_ids
from nextpaint.record.columns import BoolArray, IntArray

UNSKIPPABLE = ("filter", "rules", "record")
EXCLUDED = "excluded by the request"


@dataclass(slots=True)
class Outcome:
    """What a decision came to. retrieved: (retriever, found). removed: per filter, what it removed. ranked: best first,
    before rules and exploration. explored: what the policy made of it. page: after rules; shown: cut to the limit.
    marks: what merchandising rules say of its items. weighted, scales: the weighted ranker that ran; model: the trained
    one. fallback: the remembered ids that were used. origin: where a fallback's items come from."""

    retrieved: list[tuple[str, int]] = field(default_factory=list)
    removed: list[tuple[Named | None, Candidates]] = field(default_factory=list)
    ranked: Candidates = field(default_factory=Candidates.none)
    explored: Explored | None = None
    marks: Marks | None = None
    page: Candidates = field(default_factory=Candidates.none)
    shown: Candidates = field(default_factory=Candidates.none)
    considered: Candidates = field(default_factory=Candidates.none)
    weighted: BoundWeighted | None = None
    scales: dict[str, float] | None = None
    model: Chosen | None = None
    fallback: tuple[str, ...] = ()
    origin: str = ""


def run(bound: BoundSurface, context: Context, timeline: Timeline, memory: Memory) -> Outcome:
    """Decides; the stages' paths, times and notes are in `timeline` afterwards."""
    outcome = Outcome()
    last = _last_good(bound, context, timeline, memory)
    used = (
        "last good answer"
        if last
        else "order given"
        if _brings_list(bound, context)
        else "cold list"
        if bound.cold
        else "nothing"
    )
    if _path(bound, context, timeline, used) != RUN:
        timeline.finish("decide", "fallback")
        timeline.forgo("filter")
        _fall_back(last, bound, context, timeline, outcome)
    else:
        timeline.start()
        kept = _filter(_retrieve(bound, context, timeline, outcome), bound, context, outcome)
        timeline.finish("filter", note=_notes(context))
        kept = _fill(kept, bound, context, timeline, outcome)
        if not len(kept) and timeline.degraded:
            _fall_back(last, bound, context, timeline, outcome)
        else:
            outcome.considered = kept
            _rank(kept, bound, context, timeline, outcome)
    _apply_rules(bound, context, outcome)
    outcome.shown = outcome.page.head(context.limit)
    timeline.finish("rules", note=_notes(context))
    return outcome


def _path(bound: BoundSurface, context: Context, timeline: Timeline, used: str) -> str:
    """Whether there is time to decide, over tables that still follow what happens. Where nothing is there to fall back
    to, rows of the moment of a halt are better than none."""
    stopped = sorted(bound.reads & context.reading.stopped)
    if stopped and used != "nothing":
        cause = f"{', '.join(stopped)} stopped at the memory ceiling"
        return timeline.give_way("decide", "fallback", used, cause)
    return timeline.choose("decide", "fallback", used, UNSKIPPABLE)


def _notes(context: Context) -> str:
    text = "; ".join(context.notes)
    context.notes.clear()
    return text


def _retrieve(bound: BoundSurface, context: Context, timeline: Timeline, outcome: Outcome) -> Candidates:
    batches: list[Candidates] = []
    for named in bound.retrieve:
        stage = f"retrieve {named.label}"
        batch = Candidates.none()
        if timeline.choose(stage, "skipped", "the other retrievers", UNSKIPPABLE) == "skipped":
            timeline.finish(stage, "skipped")
        else:
            batch = named.run(batch, context)
            note = _notes(context)
            timeline.finish(stage, RUN if len(batch) or not note else "abstained", note)
        batches.append(batch)
        outcome.retrieved.append((named.label, len(batch)))
    return merge(batches)


def _filter(candidates: Candidates, bound: BoundSurface, context: Context, outcome: Outcome) -> Candidates:
    """The candidates that may be shown; the others go to `outcome.removed` under the first filter that refuses them."""
    if context.request.exclude:
        excluded = set(context.request.exclude)
        mask = np.array([key not in excluded for key in candidates.keys()], np.bool_)
        candidates = _split(candidates, mask, None, outcome)
    for named in bound.filters:
        if not len(candidates):
            break
        candidates = _split(candidates, named.keeps(candidates, context), named, outcome)
    return candidates


def _split(candidates: Candidates, mask: BoolArray | None, named: Named | None, outcome: Outcome) -> Candidates:
    if mask is None or bool(mask.all()):
        return candidates
    outcome.removed.append((named, candidates.take(~mask)))
    return candidates.take(mask)


def _fill(kept: Candidates, bound: BoundSurface, context: Context, timeline: Timeline, outcome: Outcome) -> Candidates:
    """Fills a page the retrievers left short from the cold list; a list the caller brought is never added to."""
    if bound.cold is None or len(kept) >= context.limit or _brings_list(bound, context):
        return kept
    if timeline.choose("cold", "skipped", "fewer items", UNSKIPPABLE) == "skipped":
        timeline.finish("cold", "skipped")
        return kept
    timeline.start()
    found = bound.cold.run(Candidates.none(), context)
    outcome.retrieved.append(("cold", len(found)))
    tried = np.concatenate([kept.slots, *(batch.slots for _, batch in outcome.removed)])
    fresh = _filter(found.take(~np.isin(found.slots, tried)), bound, context, outcome)
    kept = append(kept, fresh, len(bound.retrieve))
    timeline.finish("cold", RUN, _notes(context))
    return kept


def _brings_list(bound: BoundSurface, context: Context) -> bool:
    return bound.given is not None and bool(given_ids(bound.given, context))


def _last_good(bound: BoundSurface, context: Context, timeline: Timeline, memory: Memory) -> tuple[str, ...]:
    if timeline.recorded is not None:
        return timeline.recorded.fallback
    if _brings_list(bound, context) or not bound.max_age_ms:
        return ()
    return memory.last(bound.surface.name, person(context), context.time_ms, bound.max_age_ms)


def person(context: Context) -> str:
    """Whose last answer may be reused: the person's primary token, or '' for all without a profile."""
    return context.subjects[0] if context.subjects else ""


def _fall_back(
    last: tuple[str, ...], bound: BoundSurface, context: Context, timeline: Timeline, outcome: Outcome
) -> None:
    """A list that costs next to nothing, filtered: the last good answer, else the caller's order, else the cold
    list."""
    batch = Candidates.none()
    if last:
        outcome.fallback, outcome.origin = last, "fallback"
        batch = context.found(last)
    elif bound.given is not None and _brings_list(bound, context):
        outcome.origin = "given"
        batch = context.found(given_ids(bound.given, context))
    elif bound.cold is not None:
        outcome.origin = "cold"
        batch = bound.cold.run(batch, context)
    kept = _filter(batch, bound, context, outcome)
    outcome.considered = outcome.ranked = kept
    timeline.finish("fallback", "used", _notes(context))


def _rank(kept: Candidates, bound: BoundSurface, context: Context, timeline: Timeline, outcome: Outcome) -> None:
    outcome.ranked = kept
    if timeline.choose("rank", "cheap", "order of retrieval", ("features", *UNSKIPPABLE)) == "cheap":
        timeline.finish("rank", "cheap")
        timeline.forgo("features")
        return
    timeline.start()
    outcome.considered = outcome.ranked = kept = read_features(bound.features, kept, context)
    timeline.finish("features", note=_notes(context))
    ranker, path = bound.rank, RUN
    if isinstance(ranker, BoundModel):
        outcome.model = ranker.chosen(context)
        if outcome.model is None:
            ranker, path = ranker.until_trained, UNTIL_TRAINED
    if outcome.model is not None:
        outcome.ranked = _best_first(kept.with_scores(outcome.model.scores(kept)))
        context.probabilities = is_rate(outcome.model.ranker)
    elif isinstance(ranker, BoundWeighted):
        outcome.weighted, outcome.scales = ranker, ranker.scales(kept)
        outcome.ranked = _best_first(kept.with_scores(ranker.scores(kept, outcome.scales)))
    elif callable(ranker):
        outcome.ranked = _ordered(kept, ranker(kept, context))
    timeline.finish("rank", path, _notes(context))
    if bound.policy is not None and len(outcome.ranked):
        outcome.explored = explore(bound.policy, outcome.ranked, context, timeline)


def _best_first(scored: Candidates) -> Candidates:
    return scored.take(np.argsort(-scored.scores, kind="stable"))


def _apply_rules(bound: BoundSurface, context: Context, outcome: Outcome) -> None:
    page = outcome.ranked if outcome.explored is None else outcome.explored.order
    rules = in_force(bound.surface.name, context)
    if rules:
        page, outcome.marks = apply(rules, page, context)
    for named in bound.rules:
        after = named.run(page, context)
        if not named.ours:
            after = _ordered(page, after)
            _note_moves(named.label, page, after, context)
        page = after
    outcome.page = page if outcome.marks is None else pinned(outcome.marks, page, context)


def _ordered(before: Candidates, after: Candidates) -> Candidates:
    """What a function made of `before`: its order and scores, but no item that was not there, and none twice."""
    place = {slot: index for index, slot in enumerate(before.slots.tolist())}
    chosen = [(place.pop(slot), index) for index, slot in enumerate(after.slots.tolist()) if slot in place]
    rows: IntArray = np.array([row for row, _ in chosen], np.int64)
    scores = after.scores[np.array([index for _, index in chosen], np.int64)]
    return before.take(rows).with_scores(scores)


def _note_moves(rule: str, before: Candidates, after: Candidates, context: Context) -> None:
    places = {key: place for place, key in enumerate(after.keys(), start=1)}
    for place, key in enumerate(before.head(context.limit).keys(), start=1):
        if places.get(key, 0) != place:
            context.moved(rule, "", key, (place, places.get(key, 0)))
