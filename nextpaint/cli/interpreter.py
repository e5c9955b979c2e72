"""How the interpreter is set for a node: who gets the global lock, and when cyclic garbage is looked for.

Python's defaults suit programs that compute; a node answers. Two of them cost it milliseconds at the wrong moment:

* a thread that wants the interpreter waits 5 ms for a busy one. The thread that syncs wants it for microseconds, twice
  a frame, and each acknowledgement would wait with it;
* a full collection walks all state, 100 ms at a million objects. Nothing a node makes per event or decision is cyclic,
  so collections only need to look at what is young: what survives one is frozen, and never walked again. Of cycles that
  are in use at that moment and garbage later (a handful each time: tasks, tracebacks) the memory is not given back.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping

_SWITCH_S = 0.0001  # what a frame waits for the interpreter, two or three times, before it is durable
_YOUNG_MAX = 5_000  # objects that survive until they are walked: a millisecond or two
_NEVER = 1 << 30


def prepare() -> None:
    """Set the interpreter for a node whose start-up is done: what there is now is never walked again."""
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _NEVER, _NEVER)
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)


def _freeze(phase: str, _: Mapping[str, int]) -> None:
    if phase == "stop":
        gc.freeze()
