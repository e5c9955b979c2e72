"""Kernels are compiled before they are needed, and nothing compiles afterwards."""

import subprocess
import sys

import pytest
from numba.core import event

from nextpaint.process.kernels import warm as warming
from nextpaint.record import compiled
from nextpaint.record.columns import Column
from nextpaint.record.hashing import key_hashes
from nextpaint.record.types import STRING


def test_nothing_compiles_once_everything_is_warm():
    warming.warm()
    with event.install_recorder("numba:compile") as compiled_since:
        for kernel in warming.all_kernels():
            with pytest.raises(TypeError):
                kernel("a call with types that no kernel has")
        key_hashes((Column.of(STRING, ["a", None]),), (0,))
    assert compiled_since.buffer == []


def test_kernels_live_where_setup_finds_them():
    stray = compiled.Kernel(len, "int64(int64)")
    compiled.KERNELS.append(stray)
    stray.function = type("f", (), {"__module__": "nextpaint.sql.plan", "__name__": "f"})
    try:
        with pytest.raises(RuntimeError, match=r"kernels live in .* move sql\.plan\.f"):
            warming.all_kernels()
    finally:
        compiled.KERNELS.remove(stray)


def test_a_cold_place_is_said_to_be_cold(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(warming, "folder", lambda: tmp_path)
    assert warming.is_cold()
    (tmp_path / ("0" * 16)).mkdir()
    (tmp_path / "warm-0000").touch()
    monkeypatch.setattr(warming, "_warmed", [])
    seen = []
    count = warming.warm(lambda done, count, name: seen.append((done, count, name)))
    assert [each[0] for each in seen] == list(range(count))
    assert not warming.is_cold()
    assert not (tmp_path / ("0" * 16)).exists(), "machine code of older sources is removed"


def test_the_command_line_imports_without_compiling():
    code = (
        "from numba.core import event\n"
        "with event.install_recorder('numba:compile') as seen:\n"
        "    import nextpaint.cli\n"
        "assert not seen.buffer, seen.buffer\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
