"""What kernels say to LLVM and to the C library directly: loads and stores at an address, bits, whole vectors.

Imported by `record.compiling` only. Kernels name these through `record.compiled.instruction`, so that a process in
which nothing is compiled does without Numba. Addresses are int64; nothing here checks one. Whoever owns the memory
keeps it alive while a kernel runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_BIT, _BYTE, _INT, _LONG, _WIDE = (ir.IntType(bits) for bits in (1, 8, 32, 64, 128))
_32_BYTES = ir.VectorType(_BYTE, 32)
_QUOTE, _SPACE, _BACKSLASH = 34, 32, 92

Generate = Callable[[Any, tuple[Any, ...]], Any]


def _instruction(result: Any, arguments: tuple[Any, ...], generate: Generate) -> Any:
    """`generate` gets the builder and the values of the arguments; what it gives is ignored for a void result."""

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        made = generate(builder, values)
        return context.get_dummy_value() if result == types.void else made

    # Numba counts the parameters of what it types.
    if len(arguments) == 1:
        return intrinsic(lambda typing, one: (result(*arguments), lower))
    if len(arguments) == 2:
        return intrinsic(lambda typing, one, two: (result(*arguments), lower))
    return intrinsic(lambda typing, one, two, three: (result(*arguments), lower))


def _loader(result: Any, word: Any, align: int, widen: bool = False) -> Any:
    def generate(builder: Any, values: Any) -> Any:
        value = builder.load(builder.inttoptr(values[0], word.as_pointer()))
        value.align = align
        return builder.zext(value, _LONG) if widen else value

    return _instruction(result, (types.int64,), generate)


def _storer(argument: Any, word: Any, align: int, narrow: bool = False) -> Any:
    def generate(builder: Any, values: Any) -> None:
        value = builder.trunc(values[1], word) if narrow else values[1]
        builder.store(value, builder.inttoptr(values[0], word.as_pointer())).align = align

    return _instruction(types.void, (types.int64, argument), generate)


# Of aligned state.
load = _loader(types.int64, _LONG, 8)
load_word = _loader(types.uint64, _LONG, 8)
load_real = _loader(types.float64, ir.DoubleType(), 8)
load_half = _loader(types.int32, _INT, 4)
load_byte = _loader(types.uint8, _BYTE, 1)
store = _storer(types.int64, _LONG, 8)
store_word = _storer(types.uint64, _LONG, 8)
store_real = _storer(types.float64, ir.DoubleType(), 8)
store_half = _storer(types.int32, _INT, 4)

# Anywhere.
byte_at = _loader(types.int64, _BYTE, 1, widen=True)
long_at = _loader(types.int64, _LONG, 1)
word_at = _loader(types.uint64, _LONG, 1)
load_part = _loader(types.uint32, _INT, 1)
put_byte = _storer(types.int64, _BYTE, 1, narrow=True)
put_word = _storer(types.uint64, _LONG, 1)


def _copying(builder: Any, values: Any) -> None:
    places = [builder.inttoptr(each, _BYTE.as_pointer()) for each in values[:2]]
    cgutils.raw_memcpy(builder, *places, values[2], 1, align=1)


def _copying_32(builder: Any, values: Any) -> None:
    place = _32_BYTES.as_pointer()
    data = builder.load(builder.inttoptr(values[0], place))
    data.align = 1
    builder.store(data, builder.inttoptr(values[1], place)).align = 1


def _prefetching(builder: Any, values: Any) -> None:
    place = _BYTE.as_pointer()
    declared = ir.FunctionType(ir.VoidType(), [place, _INT, _INT, _INT])
    function = cgutils.get_or_insert_function(builder.module, declared, "llvm.prefetch.p0")
    builder.call(function, [builder.inttoptr(values[0], place), _INT(0), _INT(3), _INT(1)])


copy = _instruction(types.void, (types.int64, types.int64, types.int64), _copying)
copy_32 = _instruction(types.void, (types.int64, types.int64), _copying_32)
prefetch = _instruction(types.void, (types.int64,), _prefetching)


def _special_of_32(builder: Any, values: Any) -> Any:
    data = builder.load(builder.inttoptr(values[0], _32_BYTES.as_pointer()))
    data.align = 1

    def all_of(byte: int) -> Any:
        return ir.Constant(_32_BYTES, [byte] * 32)

    below = builder.icmp_signed("<", data, all_of(_SPACE))  # signed: what is above ASCII is negative
    quotes, slashes = (builder.icmp_signed("==", data, all_of(each)) for each in (_QUOTE, _BACKSLASH))
    marks = builder.or_(below, builder.or_(quotes, slashes))
    return builder.zext(builder.bitcast(marks, _INT), _LONG)


def _high_of_product(builder: Any, values: Any) -> Any:
    product = builder.mul(*(builder.zext(each, _WIDE) for each in values))
    return builder.trunc(builder.lshr(product, ir.Constant(_WIDE, 64)), _LONG)


special_of_32 = _instruction(types.uint64, (types.int64,), _special_of_32)
product_high = _instruction(types.uint64, (types.uint64, types.uint64), _high_of_product)
first_bit = _instruction(types.int64, (types.uint64,), lambda builder, values: builder.cttz(values[0], _BIT(1)))
leading_zeros = _instruction(types.int64, (types.uint64,), lambda builder, values: builder.ctlz(values[0], _BIT(1)))
bits_of = _instruction(types.int64, (types.float64,), lambda builder, values: builder.bitcast(values[0], _LONG))

# The C library's, where it has them.
libc_ldexp = types.ExternalFunction("ldexp", types.float64(types.float64, types.int32))
_buffer_call = types.int64(types.int32, types.intp, types.uintp)
libc_read = types.ExternalFunction("read", _buffer_call)
libc_write = types.ExternalFunction("write", _buffer_call)
libc_fdatasync = types.ExternalFunction("fdatasync", types.int32(types.int32))
libc_clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))
libc_errno_location = types.ExternalFunction("__errno_location", types.intp())
