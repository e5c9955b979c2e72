"""What a stage is: one calling convention, and the two halves of its life.

A running stage is `stage(candidates, context) -> candidates`: a batch in, a batch out. A retriever is given an empty
batch; a filter returns a subset; a ranker returns the same items best first, with scores; a rule returns the ranked
items in the order to show. A plain Python function of that shape is a stage. Stages must be functions of their
arguments: no clock, no chance but `context.seed`, no state of their own; then a replay computes the same again.

A declared stage is data (it prints as it was written). It says what it needs before anything is planned (`needs`), and
binds to the application's tables once (`bind`), reporting every mistake to the binder instead of raising.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.requirements import Needs

Stage = Callable[[Candidates, Context], Candidates]


@runtime_checkable
class Declared(Protocol):
    """A stage as declared in a surface."""

    @property
    def label(self) -> str:
        """Short name in records and explanations: `similar`, `inventory.stock > 2`."""

    def needs(self, needs: Needs) -> None:
        """Writes down what the stage needs from the engine."""

    def bind(self, binder: Binder) -> Stage | None:
        """The running stage; None after reporting why there is none."""


def label_of(stage: object) -> str:
    """The name of a declared stage or of a function."""
    return stage.label if isinstance(stage, Declared) else getattr(stage, "__name__", type(stage).__name__)


def bind(stage: object, binder: Binder) -> Stage | None:
    """A running stage of a declared one; a function is one already."""
    if isinstance(stage, Declared):
        return stage.bind(binder)
    if callable(stage):
        return stage
    binder.error(
        f"{stage!r} is not a stage",
        "write one of the stages of nextpaint.decide, or a function of (candidates, context)",
    )
    return None
