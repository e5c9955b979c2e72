"""How the interpreter is set for a node: who gets the global lock, when cyclic garbage is looked for, and what becomes
of memory that is free.

Python's defaults suit programs that compute; a node answers. Three of them cost it time:

* a thread that wants the interpreter waits 5 ms for a busy one. The thread that syncs wants it for microseconds, twice
  a frame, and each acknowledgement would wait with it;
* a full collection walks all state, 100 ms at a million objects. Nothing a node makes per event or decision is cyclic,
  so collections only need to look at what is young: what survives one is frozen, and never walked again. Of cycles that
  are in use at that moment and garbage later (a handful each time: tasks, tracebacks) the memory is not given back.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Mapping

_SWITCH_S = 0.0001  # what a frame waits for the interpreter, two or three times, before it is durable
_YOUNG_MAX = 5_000  # objects that survive until they are walked: a millisecond or two
_NEVER = 1 << 30
_KEPT_BYTES = 128 << 20  # a dozen of the largest frames and steps
_MAPPED_FROM_BYTES = 32 << 20  # what is larger is mapped for itself; the largest value the C library takes
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h


def prepare() -> None:
    """Set the interpreter for a node whose start-up is done: what there is now is never walked again."""
    keep_memory()
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _NEVER, _NEVER)
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def keep_memory() -> bool:
    """Let the C library keep what is free for the next step; False where it is not the GNU one."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = (
        (_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_ARENA_MAX, 1)
    )  # fmt: skip
    return all([set_option(option, value) == 1 for option, value in options])


def _freeze(phase: str, _: Mapping[str, int]) -> None:
    if phase == "stop":
        gc.freeze()
