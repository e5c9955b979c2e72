"""From an outcome to the two things a decision leaves behind: its record and its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from nextpaint import __version__
from nextpaint.decide.binding import BoundSurface
from nextpaint.decide.budget import RUN, Timeline
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.experiment import Assigned
from nextpaint.decide.exploration import exploration_of
from nextpaint.decide.facts import item_values
from nextpaint.decide.feature import BoundFeature
from nextpaint.decide.mark import Mark, Price
from nextpaint.decide.merchandising import mark_of, priced
from nextpaint.decide.near import near_misses
from nextpaint.decide.pipeline import EXCLUDED, Outcome
from nextpaint.decide.rank import spoke_most
from nextpaint.decide.record import (
    REMOVED_MAX,
    Answered,
    Asked,
    DecisionRecord,
    Effect,
    FilterRun,
    NearMiss,
    Ranking,
    matrix_hash,
    rows_of,
)
from nextpaint.decide.wording import feature_sentence, retriever_sentence

GENERATED_MAX = 80  # characters of a machine's name
SHADOWED = 20  # places of the ranking that are compared with a shadow's


@dataclass(frozen=True, slots=True)
class Identity:
    """What names a decision: its id, the chance it was given, the application in force, and the variant it was made
    in."""

    decision_id: str
    seed: int
    application: str
    assigned: Assigned | None = None


def record_of(
    bound: BoundSurface, context: Context, timeline: Timeline, outcome: Outcome, identity: Identity
) -> DecisionRecord:
    """The short record; the stage "record" is timed up to here."""
    surface = bound.surface
    page = outcome.shown
    near: tuple[NearMiss, ...] = ()
    if timeline.choose("near", "skipped", "", ("record",)) == RUN:
        near = near_misses(bound, context, outcome)
        timeline.finish("near")
    else:
        timeline.finish("near", "skipped")
    request = context.request
    answered = _answered(page, bound, context, outcome)
    matrix = matrix_hash(outcome.considered)
    explored = None
    if outcome.explored is not None and bound.policy is not None:
        explored = exploration_of(bound.policy, str(surface.explore), outcome.explored, page, context)
    timeline.finish("record")
    return DecisionRecord(
        decision_id=identity.decision_id,
        surface=surface.name,
        purpose=surface.purpose,
        application=identity.application,
        engine=__version__,
        position=context.reading.position,
        time_ms=context.time_ms,
        seed=identity.seed,
        request=Asked(
            dict(request.inputs),
            request.items,
            context.limit,
            request.exclude,
            request.profiled,
            request.withheld,
            dict(request.found),
        ),
        stages=tuple(timeline.stages),
        retrieved=tuple(outcome.retrieved),
        filters=_filters(outcome),
        features=bound.sources,
        rank=_ranking(bound, outcome),
        items=answered,
        matrix=matrix,
        considered=len(outcome.considered),
        subjects=context.subjects,
        near=near,
        effects=tuple(Effect(rule, why, tuple(moved)) for (rule, why), moved in context.effects.items()),
        degraded=tuple(timeline.degraded),
        fallback=outcome.fallback,
        unknown_items=context.unknown,
        profiled=request.profiled,
        cold=not context.known,
        explored=explored,
        experiment=identity.assigned,
        marks=_marks(page, bound, context, outcome),
    )


def answer_of(record: DecisionRecord, bound: BoundSurface, context: Context, page: Candidates) -> dict[str, Any]:
    """What the caller is told of the shown `page`, in the shape of the HTTP interface; the engine adds the position and
    `recorded`."""
    fields = _fields(page, bound, context, record)
    templates = {each.name: each.sentence for each in record.features}
    chances = propensities_of(record)
    items = []
    for place, (item, shown) in enumerate(zip(record.items, fields, strict=True), start=1):
        template = templates.get(item.reason)
        reason = retriever_sentence(item.reason) if template is None else feature_sentence(template, item.about)
        mark = record.marks.get(item.id)
        told: dict[str, Any] = {"id": item.id, "position": place, "reason": reason}
        told |= {"fields": shown, "marks": [] if mark is None else list(mark.badges)}
        if mark is not None and mark.price is not None:
            _move_price(shown, mark.price)
        if mark is not None and mark.sponsored:
            told |= {"sponsored": True, "behalf": mark.behalf, "paid": mark.paid}
        if mark is not None and mark.generated:
            told["ai_generated"] = dict(mark.generated)
        items.append(
            {
                **told,
                "propensity": chances[place - 1],
            }
        )
    when = datetime.fromtimestamp(record.time_ms / 1000, UTC)
    return {
        "decision_id": record.decision_id,
        "surface": record.surface,
        "as_of": {"event_time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z")},
        "items": items,
        "degraded": [{"stage": each.stage, "cause": each.cause, "used": each.used} for each in record.degraded],
        "budget": {"window_ms": bound.surface.window.total_ms},
        "profiled": record.profiled,
        "cold": record.cold,
        "experiment": experiment_of(record),
        "ttl_s": bound.surface.window.ttl_s,
        "why": f"/why/{record.decision_id}",
        **({"withheld": record.request.withheld} if record.request.withheld else {}),
        **({"review": "open"} if bound.surface.significant else {}),
    }


def _marks(page: Candidates, bound: BoundSurface, context: Context, outcome: Outcome) -> dict[str, Mark]:
    marks: dict[str, Mark] = {}
    if outcome.marks is not None:
        personal = frozenset(each.name for each in bound.sources if each.personal and context.subjects)
        found = {key: mark_of(key, outcome.marks, personal) for key in page.keys()}
        marks = {key: mark for key, mark in found.items() if mark is not None}
    for column, by in bound.surface.generated.items():
        for key, writer in zip(page.keys(), item_values(by, "", page, context), strict=True):
            if writer:
                mark = marks.get(key, Mark())
                named = "AI" if writer is True else str(writer)[:GENERATED_MAX]
                marks[key] = replace(mark, generated={**mark.generated, column: named})
    return marks


def _move_price(shown: dict[str, Any], price: Price) -> None:
    """The moved price in the place of the item's own, which is kept beside it, with the words the law asks for."""
    moved = priced(shown.get("price"), price.percent)
    if moved is None:
        return
    shown["base_price"], shown["price"], shown["price_rule"] = shown["price"], moved, price.rule
    if price.disclosure:
        shown["price_disclosure"] = price.disclosure


def experiment_of(record: DecisionRecord) -> dict[str, str]:
    """The experiment and variant of a decision, for the answer; empty where there is none."""
    assigned = record.experiment
    return {} if assigned is None else {"name": assigned.experiment, "variant": assigned.variant}


def propensities_of(record: DecisionRecord) -> list[float | None]:
    """The propensity of each answered item, None where there is none."""
    if record.explored is None:
        return [None] * len(record.items)
    return [each.propensity for each in record.explored.tried]


def _filters(outcome: Outcome) -> tuple[FilterRun, ...]:
    """Counts per filter (a filter that ran twice, for the cold list too, once) and the first ids over all of them."""
    removed: dict[str, list[str]] = {}
    for named, batch in outcome.removed:
        removed.setdefault(EXCLUDED if named is None else named.label, []).extend(batch.keys())
    room = REMOVED_MAX
    runs = []
    for label, keys in removed.items():
        runs.append(FilterRun(label, len(keys), tuple(keys[:room])))
        room -= min(room, len(keys))
    return tuple(runs)


def _ranking(bound: BoundSurface, outcome: Outcome) -> Ranking:
    chosen = outcome.model
    if chosen is not None:
        page = outcome.ranked.head(SHADOWED)
        shadow = chosen.shadowed(outcome.considered, page)
        return Ranking(str(chosen), model=chosen.ranker.identity, role=chosen.role, shadow=shadow)
    if outcome.weighted is not None and outcome.scales is not None:
        return Ranking(bound.ranked_by, dict(outcome.weighted.weights), outcome.scales)
    return Ranking(bound.ranked_by)


def _answered(page: Candidates, bound: BoundSurface, context: Context, outcome: Outcome) -> tuple[Answered, ...]:
    features = bound.features if page.features else ()
    values = rows_of([page.features[each.name].to_list() for each in features], len(page))
    ages = rows_of([each.ages_ms(page, context) for each in features], len(page))
    sources = page.sources.tolist()
    reasons = _reasons(page, sources, outcome)
    abouts = _abouts(page, reasons, features, context)
    return tuple(map(Answered, page.keys(), page.scores.tolist(), sources, reasons, abouts, values, ages))


def _reasons(page: Candidates, sources: list[int], outcome: Outcome) -> list[str]:
    """Per item the feature that spoke most for it; where none did, the retriever that found it."""
    told: list[str] = []
    if outcome.model is not None and len(page):
        told = outcome.model.reasons(page)
    if outcome.scales is not None and outcome.weighted is not None and outcome.weighted.weights and len(page):
        told = spoke_most(page, dict(outcome.weighted.weights), outcome.scales)
    if not told:
        return [_source_label(bits, outcome) for bits in sources]
    return [reason or _source_label(bits, outcome) for reason, bits in zip(told, sources, strict=True)]


def _abouts(page: Candidates, reasons: list[str], features: tuple[BoundFeature, ...], context: Context) -> list[str]:
    """Per item what its reason is about: a category, for a feature that is kept by it."""
    abouts = [""] * len(page)
    for each in features:
        if each.fact is not None and each.fact.about and each.name in reasons:
            values = item_values(each.fact.about, each.fact.item_key, page, context)
            for row, reason in enumerate(reasons):
                if reason == each.name:
                    abouts[row] = str(values[row] or "")
    return abouts


def _source_label(bits: int, outcome: Outcome) -> str:
    """The first retriever that found an item; for a fallback's item where that comes from."""
    if not bits:
        return outcome.origin
    first = (bits & -bits).bit_length() - 1
    return outcome.retrieved[first][0] if first < len(outcome.retrieved) else "cold"


def _fields(page: Candidates, bound: BoundSurface, context: Context, record: DecisionRecord) -> list[dict[str, Any]]:
    columns = {name: item_values(name, "", page, context) for name in bound.fields}
    for name in bound.surface.show:
        if name in page.features:
            columns[name] = page.features[name].to_list()
        else:
            fact = next((each.fact for each in bound.features if each.name == name), None)
            if fact is not None:
                columns[name] = fact.read(page, context).to_list()
    names = list(columns)
    return [dict(zip(names, map(_plain, row), strict=True)) for row in rows_of(list(columns.values()), len(page))]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
