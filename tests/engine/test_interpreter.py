"""What a process keeps: memory that is free costs no page faults when it is taken again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from nextpaint.engine.interpreter import keep_memory
if sys.argv[1] == "keep" and not keep_memory():
    raise SystemExit(2)
def use():
    parts = [bytearray(4 << 20) for _ in range(6)]
    for part in parts:
        part[::4096] = bytes(len(part) // 4096)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=False)
    if done.returncode == 2:
        pytest.skip("not the GNU C library")
    return int(done.stdout)


def test_memory_that_is_free_is_taken_again_without_page_faults():
    pages = 5 * 6 * (4 << 20) // 4096
    assert faults("keep") < pages // 20
