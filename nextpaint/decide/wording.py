"""The sentences of explanations: templates over stored facts, in words a shopper uses. Nothing here computes or
guesses."""

from __future__ import annotations

FEATURE_SENTENCES = {  # by kind of feature; {source} and {name} are filled when a surface compiles, {about} per item
    "session": "It is close to what you looked at just now.",
    "interest": "You have been looking at {about}.",
    "person": "It fits what you did before.",
    "item": "It does well in {source} right now.",
    "new": "It was added lately.",
    "function": "It does well in {name}.",
}

_RETRIEVER_SENTENCES = {
    "new": "It was added lately.",
    "similar": "It is close to what you looked at just now.",
    "bought together": "Others bought it together with what you looked at.",
    "top": "Many people look at it right now.",
    "recent": "You looked at it not long ago.",
    "given": "It matches what you asked for.",
    "cold": "Many people look at it right now.",
    "fallback": "It was among your last suggestions.",
}


def retriever_sentence(label: str) -> str:
    """Why an item is here when no feature speaks for it; `label` may carry a number ("top 2")."""
    return _RETRIEVER_SENTENCES.get(label.rstrip(" 0123456789"), "It was chosen for this page.")


def feature_sentence(template: str, about: str) -> str:
    """A feature's sentence for one item."""
    return template.replace("{about}", about or "things like it")


def times(count: int) -> str:
    """once, 2 times, 3 times."""
    return "once" if count == 1 else f"{count} times"


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
