"""Results as multisets of printed rows, so that those of different engines compare.

Numbers are rounded to nine digits and times are text as Flink prints them; every engine but Flink hands its rows in as
JSON lines, a list of cells each, times in epoch ms.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rig.queries import Query

Rows = Counter[str]


def cell(value: Any) -> str:
    """A value as all engines' printed forms agree on."""
    if value is None:
        return "null"
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", text):
        return f"{float(text):.9g}"
    return text


def written_rows(path: Path, query: Query) -> Rows:
    """The rows of a file of JSON lines."""
    times = [index for index, each in enumerate(_columns(query)) if "TIMESTAMP" in each]
    found: Rows = Counter()
    with open(path) as file:
        for line in file:
            cells = json.loads(line)
            for index in times:
                cells[index] = _moment(cells[index])
            found["|".join(map(cell, cells))] += 1
    return found


def _columns(query: Query) -> list[str]:
    return re.split(r",\s*(?![^(]*\))", query.columns)


def _moment(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M") + (f":{moment:%S}" if ms % 60_000 else "")
    return text + (f".{ms % 1000:03d}" if ms % 1000 else "")


def flink_rows(printed: list[str]) -> Rows:
    """The final rows of Flink's changelog, from its print sink."""
    found: Rows = Counter()
    for line in printed:
        match = re.match(r"(?:\S+> )?([+-][IUD])\[(.*)\]$", line)
        if match:
            row = "|".join(map(cell, match[2].split(", ")))
            found[row] += 1 if match[1] in ("+I", "+U") else -1
    return +found


def difference(ours: Rows, theirs: Rows) -> str:
    """What is different, in words; nothing if the rows are the same."""
    if ours == theirs:
        return ""
    return f"{(ours - theirs).total()} rows only here, {(theirs - ours).total()} only there, such as " + next(
        iter((ours - theirs) or (theirs - ours))
    )
