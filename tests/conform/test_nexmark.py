"""Nexmark: our answers to its queries are those of Flink, over two thousand events with disorder and late rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.rig.nexmark import events
from nextpaint.connect.conformance.run import run_case
from tests.conform.nexmark import QUERIES, answers, asked, nexmark_case, stream


def test_every_query_is_planned_and_runs() -> None:
    """A small stream, without Flink: the same answer however it is cut, and from a checkpoint."""
    rows = list(events(54, disorder_ms=3_000, apart_ms=200))
    for query in QUERIES:
        wrong = run_case(nexmark_case(query, rows), 1)
        assert re.fullmatch(r"0 rows missing \(-\), \d+ too many \(\+\)(.|\n)*|", wrong), f"{query}: {wrong}"


def test_the_stream_is_a_function_of_its_seed() -> None:
    first, again, other = (list(events(200, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [sum(row["event_type"] == kind for row in first) for kind in (0, 1, 2)] == [4, 12, 184]


@pytest.mark.parametrize("query", QUERIES)
def test_answers_are_those_of_flink(query: str) -> None:
    assert run_case(nexmark_case(query, stream(), answers()[query])) == ""


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_answers_do_not_depend_on_cuts(query: str) -> None:
    assert run_case(nexmark_case(query, stream(), answers()[query]), 3) == ""


@pytest.mark.slow
@pytest.mark.flink
def test_flink_still_gives_these_answers(flink_python: Path) -> None:
    now, kept = asked(str(flink_python)), answers()
    assert {name: each for name, each in now.items() if each != kept.get(name)} == {}
