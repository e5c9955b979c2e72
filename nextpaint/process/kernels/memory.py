"""Loads and stores at an address: what kernels over paged state are made of.

An array argument costs every call into a helper a structure of seven words and a reference count; an address costs
nothing. Whoever owns the memory keeps it alive while a kernel runs. Nothing here checks an address.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nextpaint.record.ahead import prefetch as prefetch
from nextpaint.record.compiled import inner


def _loader(result: Any, word: Any, align: int) -> Any:
    def typed(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(builder.inttoptr(args[0], word.as_pointer()))
            value.align = align
            return value

        return result(types.int64), generate

    return intrinsic(typed)


def _storer(argument: Any, word: Any, align: int) -> Any:
    def typed(typing: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            stored = builder.store(args[1], builder.inttoptr(args[0], word.as_pointer()))
            stored.align = align
            return context.get_dummy_value()

        return types.void(types.int64, argument), generate

    return intrinsic(typed)


def _copying(typing: Any, into: Any, source: Any, size: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        places = [builder.inttoptr(each, byte) for each in args[:2]]
        cgutils.raw_memcpy(builder, *places, args[2], 1, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


load = _loader(types.int64, ir.IntType(64), 8)
load_word = _loader(types.uint64, ir.IntType(64), 8)
load_real = _loader(types.float64, ir.DoubleType(), 8)
load_half = _loader(types.int32, ir.IntType(32), 4)
load_part = _loader(types.uint32, ir.IntType(32), 1)  # four bytes at any address
load_byte = _loader(types.uint8, ir.IntType(8), 1)
store = _storer(types.int64, ir.IntType(64), 8)
store_word = _storer(types.uint64, ir.IntType(64), 8)
store_real = _storer(types.float64, ir.DoubleType(), 8)
store_half = _storer(types.int32, ir.IntType(32), 4)
copy: Any = intrinsic(_copying)  # (into, source, bytes); the places do not overlap


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
