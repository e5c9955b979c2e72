"""Random queries over random rows give what Flink gives. NEXTPAINT_FIRST_SEED chooses others: nobody has asked those
before, so what differs there is news."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conform.hunt import hunt, report
from tests.conform.random_queries import SHAPES, random_case

CASES = 2 * len(SHAPES)  # each shape twice


@pytest.mark.slow
@pytest.mark.flink
def test_random_queries_give_what_flink_gives(flink_python: Path) -> None:
    first = int(os.environ.get("NEXTPAINT_FIRST_SEED", "0"))
    found = hunt(first, CASES, str(flink_python))
    assert not found.different, report(found, str(flink_python), most=3)
    assert len(found.refused) < found.asked / 4, "cases that Flink refuses compare nothing"


def test_a_case_is_a_function_of_its_seed() -> None:
    assert random_case(7) == random_case(7)
    assert random_case(7) != random_case(7 + len(SHAPES))
