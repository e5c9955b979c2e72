"""A person looks at a decision: because its surface says that it matters too much to be left to a machine, or because
somebody contests it (Art. 22(3) of the General Data Protection Regulation).

A review is a row of the built-in table `_reviews`, one per decision: who asked and why, and what a person made of it.
The decision's own record never changes; what came of a review is beside it in every explanation.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nextpaint.record.errors import InvalidInput
from nextpaint.record.types import STRING, TIMESTAMP, Field
from nextpaint.sql.program import Table

REVIEWS = Table(
    "_reviews", (Field("decision_id", STRING), Field("body", STRING), Field("ts", TIMESTAMP)), primary_key=(0,)
)
OPEN, CLOSED = "open", "closed"
CONTESTED, SIGNIFICANT = "contested", "significant"
OUTCOMES = ("upheld", "changed")
TEXT_MAX = 1_000  # characters of a reason or a note


class Contest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with a decision, in the words of whoever it was about, or of whoever speaks for them."""

    reason: str

    def checked(self) -> Contest:
        """Itself. Raises InvalidInput."""
        _text("reason", self.reason)
        return self


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person made of it: upheld or changed, and why."""

    outcome: str
    note: str

    def checked(self) -> Finding:
        """Itself. Raises InvalidInput."""
        if self.outcome not in OUTCOMES:
            what = f"'outcome' is {self.outcome[:40]!r}"
            raise InvalidInput(what, where="review", cure=f"say one of {', '.join(OUTCOMES)}")
        _text("note", self.note)
        return self


class Review(msgspec.Struct, frozen=True, omit_defaults=True):
    """A review as it is kept. cause: why it was opened; asked_by, decided_by: names of keys; `rounds`: how often it was
    opened."""

    state: str
    surface: str
    cause: str
    reason: str
    asked_by: str
    asked_ms: int
    rounds: int = 1
    outcome: str = ""
    note: str = ""
    decided_by: str = ""
    decided_ms: int = 0

    def told(self, decision_id: str) -> dict[str, Any]:
        """As JSON-ready data."""
        return {"decision_id": decision_id, **msgspec.to_builtins(self)}

    @property
    def sentence(self) -> str:
        """For the person it is about."""
        if self.state == OPEN:
            return "A person will look at this decision."
        return f"A person looked at this decision and {self.outcome} it."


def row_of(decision_id: str, review: Review, now_ms: int) -> dict[str, Any]:
    """The row that keeps a review."""
    return {"decision_id": decision_id, "body": msgspec.json.encode(review).decode(), "ts": now_ms}


def _text(name: str, text: str) -> None:
    if not text.strip() or len(text) > TEXT_MAX:
        what = f"'{name}' is empty or longer than {TEXT_MAX} characters"
        raise InvalidInput(what, where="review", cure="say it in a few sentences")
