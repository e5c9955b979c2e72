"""Kernels: one signature each, machine code kept per content of the sources it was made from."""

import contextlib
import math
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from nextpaint.record import compiled
from nextpaint.record.durable import SCRATCH_WORDS, commit_all
from nextpaint.record.errors import NextpaintError


@compiled.inner
def _multiplied(a, b, c):
    return a * b + c


@compiled.kernel("float64(float64, float64, float64)")
def multiply_add(a, b, c):
    return _multiplied(a, b, c)


@compiled.kernel("int64(const uint8[::1], int64[:,::1], int64)")
def counted(data, into, value):
    into[0, 0] = value
    found = 0
    for each in data:
        found += each == value
    return found


@compiled.kernel("uint64(uint64)")
def word(value):
    return value


@compiled.kernel("float64(float64)")
def real(value):
    return value


@compiled.kernel("boolean(boolean, int64)")
def both(truth, number):
    return truth and number > 0


@compiled.kernel("void(const int16[::1], boolean[::1])")
def negative(values, found):
    for at in range(len(values)):
        found[at] = values[at] < 0


def test_a_read_only_array_is_accepted_where_nothing_is_written():
    into = np.zeros((1, 1), np.int64)
    assert counted(np.frombuffer(b"abca", np.uint8), into, 97) == 2
    assert into[0, 0] == 97
    into.setflags(write=False)
    with pytest.raises(
        TypeError, match="kernel counted: argument 2 is no C-contiguous writeable array of int64 in 2 dim"
    ):
        counted(np.frombuffer(b"abca", np.uint8), into, 97)


class Mine(np.ndarray):
    """An array that may mean something else by its memory."""


@pytest.mark.parametrize(
    "data",
    [
        np.zeros(3, np.float32), np.zeros(3, np.int8), np.zeros((3, 1), np.uint8), np.zeros(6, np.uint8)[::2], b"abc",
        None, np.zeros(3, np.uint8).view(Mine), [1, 2], np.uint8(3), 7,
    ],
)  # fmt: skip
def test_other_arrays_are_refused_and_nothing_is_compiled_for_them(data):
    with pytest.raises(TypeError, match="argument 1 is no C-contiguous array of uint8 in 1 dimension"):
        counted(data, np.zeros((1, 1), np.int64), 0)


@pytest.mark.parametrize("values", [np.zeros(3, ">i2"), np.frombuffer(b"\0" * 7, np.int16, 3, 1)])
def test_swapped_and_unaligned_numbers_are_refused(values):
    with pytest.raises(TypeError, match="argument 1"):
        negative(values, np.zeros(3, np.bool_))


def test_every_name_of_a_width_is_that_width():
    assert both(True, 3) is True
    into = np.zeros((1, 1), np.longlong)
    assert counted(np.zeros(3, np.uint8), into, 0) == 3
    found = np.zeros(2, np.bool_)
    assert negative(np.array([-1, 1], np.int16), found) is None
    assert found.tolist() == [True, False]


@given(st.integers(0, 2**64 - 1), st.floats(), st.booleans(), st.integers(-(2**63), 2**63 - 1))
def test_numbers_go_in_and_come_out_as_they_are(whole, number, truth, signed):
    assert word(whole) == whole
    assert np.array(real(number)).tobytes() == np.array(number).tobytes() or number != number
    assert both(truth, signed) is (truth and signed > 0)
    assert both(np.bool_(truth), np.int64(signed)) is (truth and signed > 0)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: both(True, 2**63), OverflowError), (lambda: both(True, 1.5), TypeError),
        (lambda: both(True), TypeError), (lambda: both(True, 1, 2), TypeError),
        (lambda: word(-1), OverflowError), (lambda: word("1"), TypeError),
        (lambda: real("1.0"), TypeError), (lambda: both(np.zeros(2), 1), ValueError),
    ],
)  # fmt: skip
def test_what_is_no_such_number_is_refused(call, error):
    with pytest.raises(error):
        call()


def test_arguments_and_results_are_counted_right():
    """Ten thousand calls and refusals leave as many references as there were."""
    data, into = np.zeros(3, np.uint8), np.zeros((1, 1), np.int64)
    big = 2**63 + 1
    watched = (data, into, big, None, data.dtype, TypeError)
    before = [sys.getrefcount(each) for each in watched]
    for _ in range(10_000):
        counted(data, into, 0)
        word(big)
        with contextlib.suppress(TypeError):
            counted(into, into, 0)
        negative(np.zeros(1, np.int16), np.zeros(1, np.bool_))
    after = [sys.getrefcount(each) for each in watched]
    assert all(abs(old - new) < 100 for old, new in zip(before, after, strict=True))


def test_the_interpreter_runs_while_a_kernel_does():
    """Both wait for each other through a pipe: with the lock held neither would go on."""
    words = np.zeros(SCRATCH_WORDS, np.int64)
    commands, results = os.pipe(), os.pipe()
    served = []
    thread = threading.Thread(target=lambda: served.append(commit_all(commands[0], results[1], words)))
    thread.start()
    os.close(commands[1])
    thread.join(60)
    assert served == [0]
    for each in (commands[0], *results):
        os.close(each)


def test_a_kernel_makes_no_arrays():
    with pytest.raises(TypingError):
        compiled.Kernel(lambda size: np.zeros(size).sum(), "float64(int64)")(3)


def test_a_kernel_gives_no_array():
    with pytest.raises(TypeError, match="the result cannot be of type"):
        compiled.Kernel(lambda data: data, "int64[::1](int64[::1])")(np.zeros(1, np.int64))


def test_what_only_numba_has_is_refused_before_it_is_linked():
    with pytest.raises(TypeError, match="needs numba_ldexp"):
        compiled.Kernel(lambda value: math.ldexp(value, 2), "float64(float64)")(1.0)


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
    assert twice(21) == 42
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == [imported]
    compiled.digest.cache_clear()


def test_machine_code_is_made_once(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    assert compiled.Kernel(word.function, "uint64(uint64)")(7) == 7
    monkeypatch.setattr("nextpaint.record.compiling.object_code", None)
    again = compiled.Kernel(word.function, "uint64(uint64)")
    assert next(tmp_path.glob("*/word_*.o")).read_bytes().endswith(again._object_code())


@pytest.mark.parametrize("left", [0, 15, 16, 200])
def test_a_file_that_a_crash_cut_is_made_anew(monkeypatch, tmp_path, left):
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    assert compiled.Kernel(word.function, "uint64(uint64)")(7) == 7
    path = next(tmp_path.glob("*/word_*.o"))
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    assert compiled.Kernel(word.function, "uint64(uint64)")(7) == 7
    assert path.read_bytes()[:16] == compiled._sum(path.read_bytes()[16:])


def test_the_place_of_machine_code_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("NEXTPAINT_KERNELS", str(tmp_path))
    assert compiled.folder.__wrapped__() == tmp_path


def test_an_environment_that_cannot_be_written_uses_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NEXTPAINT_KERNELS", raising=False)
    monkeypatch.setattr(sys, "prefix", "/proc/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled.folder.__wrapped__() == tmp_path / "nextpaint" / "kernels"


def test_a_temporary_folder_is_ours_alone(monkeypatch, tmp_path):
    """Whoever can write machine code there runs it as us."""
    monkeypatch.delenv("NEXTPAINT_KERNELS", raising=False)
    monkeypatch.setattr(sys, "prefix", "/proc/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    monkeypatch.setattr(compiled.tempfile, "gettempdir", lambda: str(tmp_path))
    place = compiled.folder.__wrapped__()
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    place.chmod(0o777)
    with pytest.raises(NextpaintError, match="others can write"):
        compiled.folder.__wrapped__()
    place.rmdir()
    place.symlink_to(tmp_path)
    with pytest.raises(NextpaintError, match="others can write"):
        compiled.folder.__wrapped__()
