"""The answers in the case files are those that Flink gives today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conform.flink import cut

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.flink
def test_flink_still_gives_the_answers_in_the_files(flink_python: Path) -> None:
    command = [sys.executable, "-m", "tests.conform.goldens", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("printed", "cells"),
    [
        ('1, "a, b", null', [1, "a, b", None]),
        ('1, "\\u1f600\\ude00!", "\\u10ffff\\udfff"', [1, "\U0001f600!", "\U0010ffff"]),  # past U+FFFF, by JSON_QUOTE
        ('1, "\\\\u1f600", "\\u00e9"', [1, "\\u1f600", "é"]),
        ('1, "\x07\u2028", "\x00"', [1, "\x07\u2028", "\x00"]),
        ("1, , ", [1, None, None]),  # NULL by a constant
    ],
)
def test_a_printed_row_is_cut_into_its_cells(printed: str, cells: list[object]) -> None:
    assert cut(printed, ["INT", "STRING", "STRING"], [False, True, True]) == cells


def test_a_row_with_too_many_cells_is_not_read() -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        cut('1, "a", "b", "c"', ["INT", "STRING", "STRING"], [False, True, True])
