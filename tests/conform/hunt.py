"""Hunts for differences from Flink with random cases: `python -m tests.conform.hunt [first seed] [number] [shape ...]`.

Each difference is printed as a case line with Flink's answer, made small by leaving out rows for as long as it differs:
ready to be appended to a case file. Needs NEXTPAINT_FLINK_PYTHON, as scripts/flink sets it. Not a test itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nextpaint.connect.conformance.case import parse_case
from nextpaint.connect.conformance.run import run_case
from tests.conform.flink import Answer, ask, expectation
from tests.conform.random_queries import SHAPES, random_case, smaller

Json = Any
ROUNDS = 4  # of making a case smaller; each asks Flink once
CANDIDATES = 40


@dataclass
class Hunt:
    """What was asked and found. `different`: (case with Flink's answer, what is wrong)."""

    asked: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    different: list[tuple[Json, str]] = field(default_factory=list)


def hunt(first: int, count: int, python: str, cuttings: int = 2, shapes: Sequence[str] = SHAPES) -> Hunt:
    """Random cases `first` to `first + count - 1`, each run through Flink and through our engine."""
    found = Hunt()
    values = [random_case(seed, shapes) for seed in range(first, first + count)]
    answers = ask([parse_case({**value, "expect": []}, value["id"]) for value in values], python)
    for value in values:
        answer = answers[value["id"]]
        found.asked += 1
        answered = _answered(value, answer)
        if isinstance(answered, str):
            found.refused.append((value["id"], answered))
            continue
        wrong = run_case(parse_case(answered, value["id"]), cuttings)
        if wrong:
            found.different.append((answered, wrong))
    return found


def _answered(value: Json, answer: Answer) -> Json | str:
    """The case with Flink's rows, or why there are none."""
    if answer.refused:
        return answer.refused
    try:
        rows = expectation(parse_case({**value, "expect": []}, ""), answer)
    except ValueError as error:
        return str(error)
    return {**value, "expect": rows, "types": list(answer.types)}


def minimal(value: Json, wrong: str, python: str) -> tuple[Json, str]:
    """A case with fewer rows that still differs in the same way, as far as a few questions to Flink lead."""
    if wrong.startswith("not planned"):
        empty = {**value, "tables": [{**table, "rows": []} for table in value["tables"]], "expect": []}
        return empty, run_case(parse_case(empty, ""))
    for _ in range(ROUNDS):
        candidates = [{**each, "id": f"small-{at}"} for at, each in enumerate(smaller(value)[:CANDIDATES])]
        if not candidates:
            break
        answers = ask([parse_case({**each, "expect": []}, "") for each in candidates], python)
        better = None
        for each in candidates:
            answered = _answered(each, answers[each["id"]])
            if isinstance(answered, str):
                continue
            now = run_case(parse_case(answered, ""), 2)
            if now and (better is None or _rows(answered) < _rows(better[0])):
                better = ({**answered, "id": value["id"]}, now)
        if better is None:
            break
        value, wrong = better
    return value, wrong


def _rows(value: Json) -> int:
    return sum(len(table["rows"]) for table in value["tables"])


def report(found: Hunt, python: str, most: int = 8) -> str:
    """Differences in words and as case lines; only the first `most` are made small."""
    lines = [f"{found.asked} random cases: {len(found.different)} differ, Flink refuses {len(found.refused)}"]
    reasons = Counter(reason[-160:] for _, reason in found.refused)
    lines += [f"refused {count}: {reason}" for reason, count in reasons.most_common(6)]
    for number, (value, wrong) in enumerate(found.different):
        small, now = minimal(value, wrong, python) if number < most else (value, wrong)
        lines += [f"--- {value['id']} ({value['area']})", now, json.dumps(small, ensure_ascii=False)]
    return "\n".join(lines)


if __name__ == "__main__":
    start, number = (int(sys.argv[at]) if len(sys.argv) > at else fallback for at, fallback in ((1, 0), (2, 76)))
    flink_python = os.environ["NEXTPAINT_FLINK_PYTHON"]
    shapes = tuple(sys.argv[3:]) or SHAPES
    print(report(hunt(start, number, flink_python, shapes=shapes), flink_python, most=int(os.environ.get("MOST", "8"))))
