"""The most memory a process has held. Needs only the standard library, as `rig/peer.py` does.

`ru_maxrss` is no measure of it: Linux hands a process the peak of the one it was forked from, so a bench that made its
inputs just before would be read instead. `VmHWM` begins anew with the program that is run.
"""

from __future__ import annotations

import resource
import sys


def peak_mb() -> float:
    """Of this process, in MB, since its program began."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return held / (1 << 20 if sys.platform == "darwin" else 1 << 10)
