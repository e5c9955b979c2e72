"""docs/sql.md is what the code says."""

from __future__ import annotations

import subprocess
import sys

from nextpaint.sql import signatures


def test_the_page_is_current_and_names_every_function(repo_root):
    script = repo_root / "scripts/sql_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (repo_root / "docs/sql.md").read_text()
    assert [name for name in signatures.known_names() if f"`{name}" not in page] == []
    assert [key for key in ("CREATE MODEL", "METADATA", "Differences from Flink") if key not in page] == []
