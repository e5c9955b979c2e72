"""How a stage of the sql room says no: what is wrong, at which place, and what to write instead.

A `Refusal` never leaves the room: `planner` collects all of them into one `ApplicationError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from nextpaint.record.errors import Diagnostic
from nextpaint.sql.plan import At


class Refusal(Exception):
    """One finding. `at` is the place of the token or expression that is wrong."""

    def __init__(self, what: str, at: At, cure: str = "") -> None:
        self.what = what
        self.at = at
        self.cure = cure
        super().__init__(what)

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.at.file, self.at.line, self.at.column, self.what, self.cure)


class AlreadyReported(Exception):
    """The statement cannot be planned for a reason that is in the findings already."""


def near(name: str, known: Iterable[str]) -> str:
    """A cure that names what `name` may have meant; what exists when nothing is near."""
    names = sorted(set(known))
    folded: dict[str, str] = {each.lower(): each for each in names}
    close = [folded[each] for each in difflib.get_close_matches(name.lower(), list(folded), n=3, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return ""
    shown = ", ".join(names[:12])
    return f"known: {shown}{', ...' if len(names) > 12 else ''}"
