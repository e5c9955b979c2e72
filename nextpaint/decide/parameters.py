"""The main parameters of a surface, for the people it ranks things for: what matters most, why, how to change it.

Made from the compiled surface and from the rules in force, so the page that shows them cannot say anything else than
what is decided by. A weight's share is its part of all weights, by size; its reason is the surface's own (`because=`),
or the usual one for its kind. Holds nothing about any person.

Meant for Art. 27 of the Digital Services Act (main parameters, and how to change them) and Art. 38 (an option without
profiling); what the law asks of a given shop is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from nextpaint.decide.bidding import Bid
from nextpaint.decide.binding import BoundSurface
from nextpaint.decide.feature import BoundFeature
from nextpaint.decide.filter import NotBought, NotSeen, NotWatched, Require
from nextpaint.decide.model import BoundModel
from nextpaint.decide.new import New
from nextpaint.decide.own import Own
from nextpaint.decide.rank import BoundWeighted
from nextpaint.decide.retrieve import Given, Recent, Similar
from nextpaint.decide.rules import Diversify
from nextpaint.decide.together import BoughtTogether
from nextpaint.decide.top import Top, TopOf
from nextpaint.decide.wording import times

REASONS = {  # by kind of feature, where a surface does not give its own
    "session": "What somebody looked at a moment ago says most about what they want next.",
    "interest": "Who keeps coming back to a kind of thing usually wants more of it.",
    "person": "What somebody did before says something about what fits them.",
    "item": "What many people choose is a good guess for anybody.",
    "new": "What is new has had no chance to be chosen yet.",
    "function": "The shop computes it for this page.",
}
MEANINGS = {  # by kind of feature; {about} and {source} are filled
    "session": "how close it is to what you looked at just now",
    "interest": "how much you have been looking at its {about}",
    "person": "what you did before ({source})",
    "item": "{source}, the same for everybody",
    "new": "how lately it was added",
    "function": "{source}, computed by the shop",
}
CHANGES = (
    "Turn profiling off: the same page is then chosen without anything about you.",
    "Withdraw consent: from that moment on nothing about you is read, on any page.",
    "Ask why, under any item: what counted for it, what nearly took its place, and what would have changed it.",
)


def parameters(bound: BoundSurface) -> dict[str, Any]:
    """One surface as JSON-ready data, most important parameter first; `version` names its content."""
    surface = bound.surface
    told: dict[str, Any] = {
        "surface": surface.name,
        "purpose": surface.purpose,
        "items": surface.items,
        "limit": surface.limit,
        "ranked_by": _ranked_by(bound),
        "parameters": _weighed(bound),
        "read_besides": [each.name for each in bound.features if each.name not in _weights(bound)],
        "sources": [_declared(each) for each in surface.retrieve],
        "filled_from": None if surface.cold is None else _declared(surface.cold),
        "never_shown": [_declared(each) for each in surface.filters],
        "page_rules": [_declared(each) for each in surface.rules],
        "exploration": None if surface.explore is None else _explored(str(surface.explore)),
        "experiment": None if bound.experiment is None else _experiment(bound),
        "profiling": _profiling(bound),
        "changes": list(CHANGES),
    }
    return {**told, "version": blake2b(msgspec.json.encode(told), digest_size=6).hexdigest()}


def _weights(bound: BoundSurface) -> Mapping[str, float]:
    ranker = bound.rank.until_trained if isinstance(bound.rank, BoundModel) else bound.rank
    return dict(ranker.weights) if isinstance(ranker, BoundWeighted) else {}


def _ranked_by(bound: BoundSurface) -> dict[str, str]:
    rank = bound.surface.rank
    if isinstance(bound.rank, BoundModel):
        text = f"the trained model {bound.rank.name!r} where one is in force, else the weights below"
        return {"kind": "model", "model": bound.rank.name, "text": text, "declared": str(rank)}
    if isinstance(bound.rank, BoundWeighted):
        return {
            "kind": "weights",
            "text": "a sum of the parameters below, each times its weight",
            "declared": str(rank),
        }
    if rank is None:
        return {"kind": "order", "text": "the order in which the sources give them", "declared": ""}
    return {"kind": "function", "text": "a function of the shop", "declared": getattr(rank, "__name__", str(rank))}


def _weighed(bound: BoundSurface) -> list[dict[str, Any]]:
    weights = _weights(bound)
    total = sum(abs(each) for each in weights.values())
    by_name = {each.name: each for each in bound.features}
    personal = {each.name: each.personal for each in bound.sources}
    listed = sorted(weights.items(), key=lambda each: -abs(each[1]))
    return [
        {
            "name": name,
            "means": _means(by_name[name]),
            "source": by_name[name].source,
            "weight": weight,
            "share": abs(weight) / total if total > 0.0 else 0.0,
            "direction": "up" if weight > 0 else "down" if weight < 0 else "none",
            "personal": personal[name],
            "because": bound.surface.because.get(name, REASONS[by_name[name].kind]),
        }
        for name, weight in listed
        if name in by_name
    ]


def _means(feature: BoundFeature) -> str:
    about = next((fact.about for fact in feature.facts if fact.about), "kind")
    return MEANINGS[feature.kind].replace("{about}", about).replace("{source}", _plain(feature.source))


def _plain(source: str) -> str:
    return source.replace(".", " ").replace("_", " ")


def _profiling(bound: BoundSurface) -> dict[str, Any]:
    personal = [each.name for each in bound.sources if each.personal]
    left = [each["name"] for each in _weighed(bound) if not each["personal"] and each["weight"]]
    by = f"ranked by {' and '.join(left)} alone" if left else "in the order the sources give"
    return {"uses": personal, "without": f"Without profiling the page is {by}; no personal data is read."}


def _explored(declared: str) -> dict[str, str]:
    text = "Some places are given by chance to things that are less known, so that the page learns from what is chosen."
    return {"declared": declared, "text": text}


def _experiment(bound: BoundSurface) -> dict[str, Any]:
    assert bound.experiment is not None
    shares = bound.experiment.shares()
    names = ", ".join(f"{name} ({share:.0%})" for name, share in shares.items())
    text = f"People are divided by chance, and stay in their part: {names}."
    return {"name": bound.experiment.name, "text": text, "holdout": bound.experiment.holdout, "shares": shares}


def _declared(stage: object) -> dict[str, str]:
    declared = str(stage) if not callable(stage) or hasattr(stage, "label") else getattr(stage, "__name__", str(stage))
    return {"text": said(stage), "declared": declared}


_SAID: dict[type, str] = {
    Recent: "What you looked at last",
    Given: "The list that the page brings, such as the hits of a search",
    Bid: "Advertisements that the page does not take: blocked, of another size, or below its price",
}


def said(stage: object) -> str:
    """A retriever, filter or rule in words a visitor reads."""
    if type(stage) in _SAID:
        return _SAID[type(stage)]
    match stage:
        case Similar():
            half = f"half after {stage.to.half_life}"
            return f"What is most like the things you looked at, the newest counting most ({half})"
        case BoughtTogether():
            return f"What others had in one basket with what you looked at ({_plain(stage.orders)})"
        case Top(where=where) if any(isinstance(each, TopOf) for each in where.values()):
            kinds = next(each for each in where.values() if isinstance(each, TopOf))
            return f"The best by {_plain(stage.by)} ({_plain(stage.table)}) in the {kinds.n} kinds you look at most"
        case Top():
            return f"The best by {_plain(stage.by)} ({_plain(stage.table)}) for everybody"
        case Own():
            return f"Your own by {_plain(stage.by)} ({_plain(stage.table)})"
        case New():
            return f"What was added lately (half as new after {stage.half_life})"
        case Require():
            return _condition(stage.condition)
        case NotSeen():
            return f"What you were shown {times(stage.times)} or more within {stage.within}"
        case NotBought():
            return f"What you bought within {stage.within}"
        case NotWatched():
            return f"What you saw to its end within {stage.within}"
        case Diversify():
            return f"At most {stage.at_most} of one {_plain(stage.by)} on a page"
    return f"The shop's own function {getattr(stage, '__name__', type(stage).__name__)}"


_COMPARISON = re.compile(r"(\w+)\.(\w+) *(>=|<=|<>|>|<|=) *(-?[\d.]+)")
_RELATIONS = {">": "above", ">=": "at least", "<": "below", "<=": "at most", "=": "exactly", "<>": "other than"}


def _condition(text: str) -> str:
    """A filter's SQL condition in words, where it is one comparison; else as it is."""
    found = _COMPARISON.fullmatch(text.strip())
    if found is None:
        return f"Anything for which this does not hold: {text}"
    _, column, relation, number = found.groups()
    return f"Anything whose {_plain(column)} is not {_RELATIONS[relation]} {number}"


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two versions of a surface's parameters, in words."""
    lines = []
    old, new = ({each["name"]: each["weight"] for each in side["parameters"]} for side in (before, after))
    for name in old | new:
        if old.get(name) != new.get(name):
            lines.append(f"weight of {name}: {_weight(old.get(name))} -> {_weight(new.get(name))}")
    for part in ("sources", "never_shown", "page_rules"):
        were, are = ([each["declared"] for each in side[part]] for side in (before, after))
        lines += [f"{part.replace('_', ' ')}: no longer {each}" for each in were if each not in are]
        lines += [f"{part.replace('_', ' ')}: now {each}" for each in are if each not in were]
    if before["ranked_by"]["text"] != after["ranked_by"]["text"]:
        lines.append(f"ranked by: {before['ranked_by']['text']} -> {after['ranked_by']['text']}")
    for part in ("exploration", "experiment", "filled_from", "purpose", "limit"):
        if before[part] != after[part]:
            lines.append(f"{part.replace('_', ' ')}: {_brief(before[part])} -> {_brief(after[part])}")
    return lines or ["its words"]


def _weight(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _brief(value: Any) -> str:
    text = str(value.get("declared") or value.get("text") or value) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def rule_told(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A merchandising rule as the public may see it: what it does and why, who paid; not who in the shop made it."""
    shown = {name: rule[name] for name in ("rule_id", "kind", "reason", "expires_ms", "since_ms") if name in rule}
    if rule.get("sponsored"):
        shown |= {"sponsored": True, "behalf": rule["behalf"], "paid": rule["paid"]}
    if rule.get("kind") == "price":
        shown["personal"] = rule.get("when") is not None
    return shown


def in_force_for(surface: str, rules: Sequence[Mapping[str, Any]], now_ms: int) -> list[dict[str, Any]]:
    """The rules of a surface that have not expired, as the public may see them."""
    return [
        rule_told(each)
        for each in rules
        if each["surface"] in (surface, "*") and not (each.get("expires_ms") and each["expires_ms"] < now_ms)
    ]
