"""Kernels: one signature each, machine code kept per content of the sources it was made from."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.errors import TypingError

from nextpaint.record import compiled


@compiled.inner
def _multiplied(a, b, c):
    return a * b + c


@compiled.kernel("float64(float64, float64, float64)")
def multiply_add(a, b, c):
    return _multiplied(a, b, c)


@compiled.kernel("int64(const uint8[::1], int64[:,::1], int64)", allocates=True)
def counted(data, into, value):
    into[0, 0] = value
    return np.sum(data == value)


def test_a_read_only_array_is_accepted_where_nothing_is_written():
    into = np.zeros((1, 1), np.int64)
    assert counted(np.frombuffer(b"abca", np.uint8), into, 97) == 2
    assert into[0, 0] == 97
    into.setflags(write=False)
    with pytest.raises(TypeError, match="No matching definition"):
        counted(np.frombuffer(b"abca", np.uint8), into, 97)


def test_other_types_are_refused_and_nothing_is_compiled_for_them():
    with pytest.raises(TypeError, match="No matching definition"):
        counted(np.zeros(3, np.float32), np.zeros((1, 1), np.int64), 0)


def test_a_kernel_that_allocates_has_to_say_so():
    silent = compiled.Kernel(lambda size: np.zeros(size).sum(), "float64(int64)")
    with pytest.raises(TypingError):
        silent(3)


def test_no_product_is_fused_with_a_sum():
    a = 1.0 + 2.0**-30
    assert multiply_add(a, a, -(1.0 + 2.0**-29)) == 0.0  # fused it would be 2**-60


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Two modules of which one imports the other, under names of ours."""
    lower, upper = tmp_path / "lower.py", tmp_path / "upper.py"
    lower.write_text("x = 1\n")
    upper.write_text("from nextpaint.test_lower import x\n")
    for name, path in (("nextpaint.test_lower", lower), ("nextpaint.test_upper", upper)):
        fake = type(sys)(name)
        fake.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, fake)
    return lower


def test_a_change_in_an_imported_module_changes_the_digest(module: Path):
    before = compiled.digest.__wrapped__("nextpaint.test_upper")
    assert compiled.digest.__wrapped__("nextpaint.test_upper") == before
    module.write_text("x = 2\n")
    compiled._source.cache_clear()
    assert compiled.digest.__wrapped__("nextpaint.test_upper") != before


def test_sources_that_change_after_the_import_are_not_taken_for_those_of_a_kernel(module: Path, monkeypatch, tmp_path):
    """Else a process that runs while its sources are replaced leaves old code for whoever comes next."""
    compiled.digest.cache_clear()
    fake = {"__name__": "nextpaint.test_upper"}
    exec("def twice(x):\n    return 2 * x\n", fake)
    twice = compiled.Kernel(fake["twice"], "int64(int64)")
    imported = compiled.digest("nextpaint.test_upper")
    module.write_text("x = 3\n")
    compiled.digest.cache_clear()
    compiled._source.cache_clear()
    assert compiled.digest("nextpaint.test_upper") != imported
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "njit", lambda *_, **__: lambda function: function)
    monkeypatch.setattr(compiled.numba.config, "CACHE_DIR", "")
    twice.compile()
    assert compiled.numba.config.CACHE_DIR == str(tmp_path / imported)
    compiled.digest.cache_clear()


def test_the_place_of_machine_code_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert compiled.folder.__wrapped__() == tmp_path


def test_an_environment_that_cannot_be_written_uses_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "prefix", "/proc/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled.folder.__wrapped__() == tmp_path / "nextpaint" / "kernels"
