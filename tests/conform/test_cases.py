"""Every conformance case replayed without Flink: its rows are in the files, answered by Flink 2.3 (scripts/goldens)."""

from __future__ import annotations

from pathlib import Path

import pytest

from nextpaint.connect.conformance.case import Case, read_cases
from nextpaint.connect.conformance.run import run_case

HERE = Path(__file__).parent


def _cases() -> list[Case]:
    files = sorted(HERE.glob("*.jsonl"))
    return [case for path in files for case in read_cases(path.read_text("utf-8").splitlines(), path.name)]


def _expected_failures() -> dict[str, str]:
    lines = (HERE / "expected_failures.txt").read_text("utf-8").splitlines()
    pairs = (line.split("|", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


CASES = _cases()
FAILING = _expected_failures()
MARKED = [
    pytest.param(case, id=case.id, marks=[pytest.mark.xfail(reason=FAILING[case.id])] if case.id in FAILING else [])
    for case in CASES
]


@pytest.mark.parametrize("case", MARKED)
def test_case(case: Case) -> None:
    wrong = run_case(case)
    assert not wrong, f"{case.place}\n{wrong}"


@pytest.mark.slow
@pytest.mark.parametrize("case", MARKED)
def test_case_cut_and_from_checkpoints(case: Case) -> None:
    wrong = run_case(case, cuttings=20)
    assert not wrong, f"{case.place}\n{wrong}"


def test_ids_are_unique_and_each_expected_failure_is_a_case() -> None:
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids), sorted({each for each in ids if ids.count(each) > 1})
    assert set(FAILING) <= set(ids)
