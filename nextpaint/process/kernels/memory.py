"""Loads and stores at an address: what kernels over paged state are made of.

An array argument costs every call into a helper a structure of seven words and a reference count; an address costs
nothing. Whoever owns the memory keeps it alive while a kernel runs. Nothing here checks an address.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import inner, instruction
from nextpaint.record.compiled import prefetch as prefetch

load = instruction("load")
load_word = instruction("load_word")
load_real = instruction("load_real")
load_half = instruction("load_half")
load_part = instruction("load_part")  # four bytes at any address, as uint32
load_byte = instruction("load_byte")
store = instruction("store")
store_word = instruction("store_word")
store_real = instruction("store_real")
store_half = instruction("store_half")
copy = instruction("copy")  # (into, source, bytes); the places do not overlap


@inner
def clear(address: int, size: int) -> None:
    """`size` bytes, a multiple of 8, to zero."""
    for at in range(address, address + size, 8):
        store(at, 0)


@inner
def compared(left: int, right: int, size: int) -> Any:
    """Byte strings of one length: below, at or above zero as the left is before, equal to or after the right."""
    for at in range(size):
        difference = np.int64(load_byte(left + at)) - np.int64(load_byte(right + at))
        if difference != 0:
            return difference
    return 0
