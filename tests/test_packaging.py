"""An installed Nextpaint has what a checkout has: code, types, SQL, console pages and blueprints, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import nextpaint


def project(repo_root: Path) -> dict:
    return tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]


def test_the_lock_holds_every_declared_dependency(repo_root):
    declared = project(repo_root)
    wanted = declared["dependencies"] + [name for extra in declared["optional-dependencies"].values() for name in extra]
    locked = {line.split("==")[0].lower() for line in (repo_root / "requirements/lock.txt").read_text().splitlines()}
    for separator in "=<>!;[ ":
        wanted = [name.split(separator)[0].lower() for name in wanted]
    assert sorted(set(wanted) - locked) == []


def test_every_dependency_has_its_row_in_the_docs(repo_root):
    declared = project(repo_root)
    wanted = declared["dependencies"] + [name for extra in declared["optional-dependencies"].values() for name in extra]
    for separator in "=<>!;[ ":
        wanted = [name.split(separator)[0] for name in wanted]
    page = (repo_root / "docs/dependencies.md").read_text()
    assert [name for name in wanted if f"| {name} |" not in page] == []


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_and_the_blueprints(repo_root, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=repo_root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("nextpaint-*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())

    def below(folder: str) -> set[str]:
        paths = (path for path in (repo_root / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(repo_root).as_posix() for path in paths}

    expected = below("nextpaint") | {f"nextpaint/{path}" for path in below("blueprints")}
    info = {path for path in shipped if path.startswith(f"nextpaint-{nextpaint.__version__}.dist-info/")}
    assert shipped - info == expected
    assert {path.rsplit("/", 1)[1] for path in info} >= {"LICENSE", "NOTICE", "entry_points.txt"}
