"""The answers in the case files are those that Flink gives today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.flink
def test_flink_still_gives_the_answers_in_the_files(flink_python: Path) -> None:
    command = [sys.executable, "-m", "tests.conform.goldens", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
