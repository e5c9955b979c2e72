"""Kernels are compiled before they are needed, and nothing compiles afterwards."""

import subprocess
import sys

import pytest

from nextpaint.process.kernels import warm as warming
from nextpaint.record import compiled


def test_a_process_in_which_everything_is_compiled_does_without_the_compiler():
    warming.warm()
    code = (
        "import sys\n"
        "import nextpaint.cli.running\n"
        "from nextpaint.process.kernels import warm\n"
        "from nextpaint.record.columns import Column\n"
        "from nextpaint.record.hashing import key_hashes\n"
        "from nextpaint.record.types import STRING\n"
        "assert not warm.is_cold()\n"
        "warm.warm()\n"
        "key_hashes((Column.of(STRING, ['a', None]),), (0,))\n"
        "assert 'numba' not in sys.modules, 'Numba was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_memory_of_llvm_is_let_go_and_read_again_where_it_is_needed():
    warming.warm()
    made = compiled.llvm.parse_assembly("define i64 @seven() { ret i64 7 }")
    if sys.platform == "linux":
        assert warming.let_go() > 0
        assert warming.let_go() == 0, "nothing is left of it"
    machine = compiled.llvm.Target.from_default_triple().create_target_machine()
    assert machine.emit_object(made)
    if sys.platform == "linux":
        assert warming.let_go() > 0, "it was read again"


def test_no_kernel_takes_what_is_not_of_its_types():
    for kernel in warming.all_kernels():
        with pytest.raises(TypeError, match=r"takes|no C-contiguous|integer|real number"):
            kernel("a call with types that no kernel has")


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
