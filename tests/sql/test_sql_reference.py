"""docs/sql.md is what the code says, word for word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_page_is_current(repo_root: Path, tmp_path: Path) -> None:
    made = tmp_path / "sql.md"
    script = repo_root / "scripts/sql_reference.py"
    subprocess.run([sys.executable, script, made], cwd=repo_root, check=True, capture_output=True)
    assert made.read_text() == (repo_root / "docs/sql.md").read_text(), "run .venv/bin/python scripts/sql_reference.py"
