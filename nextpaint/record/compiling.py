"""Machine code of kernels, by Numba: imported only where something has to be compiled.

A kernel becomes one object file. Its entry is a function that CPython calls (METH_FASTCALL): it checks and unpacks the
arguments, lets go of the interpreter's lock, calls what Numba made of the kernel, and makes an object of the result.
Everything but the entry is private to the object, and only the C library and CPython are needed around it, so that
`record.compiled` loads it without Numba.

Layouts of NumPy's structures (`PyArrayObject_fields`, `PyArray_Descr`) are those of its C API, which are part of its
ABI; those of CPython objects follow from `object.__basicsize__`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, compiler, sigutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]
from numba.core.registry import cpu_target
from numba.np.arrayobj import populate_array

from nextpaint.record import instructions

_OPTIONS = {"nopython": True, "nogil": True, "error_model": "numpy", "_nrt": False}
_HEADER = object.__basicsize__
_TYPE_AT = _HEADER - 8  # of any object: its type
_DATA_AT, _DIMENSIONS_AT, _SHAPE_AT, _STRIDES_AT, _DTYPE_AT, _FLAGS_AT = (
    _HEADER + each for each in (0, 8, 16, 24, 40, 48)
)
_BYTE_ORDER_AT, _TYPE_NUMBER_AT = _HEADER + 10, _HEADER + 12  # of a dtype
_C_CONTIGUOUS, _ALIGNED, _WRITEABLE = 0x1, 0x100, 0x400
_NUMBAS = ("numba_", "nrt_")  # names of its library
_SWAPPED = ord(">" if sys.byteorder == "little" else "<")

_BYTE, _INT, _LONG, _REAL = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.DoubleType()
_OBJECT = _BYTE.as_pointer()


def part(function: Callable[..., Any], inlined: bool) -> Any:
    """What kernels call, as Numba wants it: compiled with whichever types they call it with."""
    options = {"forceinline": True} if inlined else {}
    return njit(nogil=True, error_model="numpy", _nrt=False, **options)(function)


def instruction(name: str) -> Any:
    """One of `record.instructions`."""
    return getattr(instructions, name)


def numba_type(made: Any) -> Any:
    """The type by which Numba knows a part or an instruction."""
    return cpu_target.typing_context.resolve_value_type(made)


def object_code(function: Callable[..., Any], signature: str, entry: str) -> bytes:
    """The object file of a kernel; `entry` is the symbol of what CPython calls.

    Raises numba.core.errors.NumbaError for what cannot be compiled and for a kernel that would make arrays, TypeError
    for other types than `record.compiled.kernel` names and for what only Numba's own library has.
    """
    typed = _typed(signature)
    with global_compiler_lock:
        made = _Compiler(function, cpu_target, _OPTIONS, {}, compiler.Compiler).compile(typed.args, typed.return_type)
        library = made.library
        module = library.create_ir_module(entry)
        _Entry(made, module, entry, function.__name__).build()
        library.add_ir_module(module)
        library.finalize()
        final = llvm.parse_bitcode(library._final_module.as_bitcode())  # noqa: SLF001
        for each in (*final.functions, *final.global_variables):
            if each.is_declaration and each.name.lower().startswith(_NUMBAS):
                raise TypeError(f"kernel {function.__name__} needs {each.name}, which is not there without Numba")
            if not each.is_declaration and each.name != entry and not each.name.startswith("llvm."):
                each.linkage = "internal"
        emitted: bytes = library.codegen._tm.emit_object(final)  # noqa: SLF001
    return emitted


class _Compiler(_FunctionCompiler):  # type: ignore[misc]  # Numba has no types
    """Stops before machine code, so that the entry can be added."""

    def _customize_flags(self, flags: Any) -> Any:
        flags.no_cpython_wrapper = True
        flags.no_cfunc_wrapper = True
        flags.no_compile = True
        flags.enable_pyobject = False
        return flags


def _typed(signature: str) -> Any:
    """Numba's own reading of a signature, with `const` arrays made read-only ones."""
    arguments, result = sigutils.normalize_signature(signature.replace("const ", ""))
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    words = re.split(r",(?![^\[]*\])", inside)
    typed = [
        types.Array(each.dtype, each.ndim, each.layout, readonly=True) if "const " in word else each
        for each, word in zip(arguments, words, strict=bool(arguments))
    ]
    return result(*typed)


class _Entry:
    """Builds `PyObject *entry(PyObject *self, PyObject *const *arguments, Py_ssize_t count)`."""

    def __init__(self, made: Any, module: Any, entry: str, name: str) -> None:
        self.context = made.target_context
        self.made = made
        self.module = module
        self.name = name
        self.function = ir.Function(module, ir.FunctionType(_OBJECT, [_OBJECT, _OBJECT.as_pointer(), _LONG]), entry)
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))

    def build(self) -> None:
        """The whole function."""
        _, arguments, count = self.function.args
        wanted = self.made.signature.args
        with self._otherwise(self.builder.icmp_signed("==", count, _LONG(len(wanted)))):
            self._refuse(f"takes {len(wanted)} arguments")
        values = [self._argument(at, typed, arguments) for at, typed in enumerate(wanted)]
        thread = self._call("PyEval_SaveThread", _OBJECT)
        callee = self.context.declare_function(self.module, self.made.fndesc)
        status, result = self.context.call_conv.call_function(
            self.builder, callee, self.made.signature.return_type, wanted, values, attrs=("noinline",)
        )
        self._call("PyEval_RestoreThread", ir.VoidType(), thread)
        with self._otherwise(status.is_ok):
            self._refuse("failed", "nextpaint_runtime_error")
        self.builder.ret(self._boxed(self.made.signature.return_type, result))

    # ------------------------------------------------------------ arguments

    def _argument(self, at: int, typed: Any, arguments: Any) -> Any:
        given = self.builder.load(self.builder.gep(arguments, [_LONG(at)]))
        if isinstance(typed, types.Array):
            return self._array(at, typed, given)
        if typed == types.boolean:
            truth = self._call("PyObject_IsTrue", _INT, given)
            with self._otherwise(self.builder.icmp_signed(">=", truth, _INT(0))):
                self.builder.ret(_OBJECT(None))
            return self.builder.trunc(truth, ir.IntType(1))
        if typed == types.float64:
            return self._number("PyFloat_AsDouble", _REAL, given)
        if typed == types.int64:
            return self._number("PyLong_AsLongLong", _LONG, given)
        if typed == types.uint64:
            whole = self._call("PyNumber_Index", _OBJECT, given)
            with self._otherwise(self.builder.icmp_unsigned("!=", whole, _OBJECT(None))):
                self.builder.ret(_OBJECT(None))
            value = self._number("PyLong_AsUnsignedLongLong", _LONG, whole)
            self._call("Py_DecRef", ir.VoidType(), whole)
            return value
        raise TypeError(f"kernel {self.name}: argument {at + 1} cannot be of type {typed}")

    def _number(self, reader: str, kind: Any, given: Any) -> Any:
        """A number read by a function of CPython, which leaves an error where it cannot."""
        value = self._call(reader, kind, given)
        compare = self.builder.fcmp_unordered if kind is _REAL else self.builder.icmp_signed
        with self.builder.if_then(compare("==", value, kind(-1)), likely=False):
            error = self._call("PyErr_Occurred", _OBJECT)
            with self._otherwise(self.builder.icmp_unsigned("==", error, _OBJECT(None))):
                self.builder.ret(_OBJECT(None))
        return value

    def _array(self, at: int, typed: Any, given: Any) -> Any:
        """NumPy's array of exactly this type, as Numba wants it; anything else is refused."""
        builder = self.builder
        dtype = np.dtype(str(typed.dtype))
        numbers = sorted({np.dtype(each).num for each in "?bBhHiIlLqQfd" if np.dtype(each) == dtype})
        needed = _C_CONTIGUOUS | _ALIGNED | (_WRITEABLE if typed.mutable else 0)
        message = f"argument {at + 1} is no C-contiguous{' writeable' if typed.mutable else ''} array"
        message += f" of {dtype} in {typed.ndim} dimension{'s' if typed.ndim > 1 else ''}"
        with self._otherwise(
            builder.icmp_unsigned("==", self._field(given, _TYPE_AT, _OBJECT), self._known("nextpaint_ndarray"))
        ):
            self._refuse(message)
        described = self._field(given, _DTYPE_AT, _OBJECT)
        number = self._field(described, _TYPE_NUMBER_AT, _INT)
        fits = [builder.icmp_signed("==", number, _INT(each)) for each in numbers]
        right = fits[0] if len(fits) == 1 else builder.or_(*fits)
        flags = builder.and_(self._field(given, _FLAGS_AT, _INT), _INT(needed))
        for each in (
            builder.icmp_signed("==", flags, _INT(needed)),
            builder.icmp_signed("==", self._field(given, _DIMENSIONS_AT, _INT), _INT(typed.ndim)),
            builder.icmp_signed("!=", self._field(described, _BYTE_ORDER_AT, _BYTE), _BYTE(_SWAPPED)),
        ):
            right = builder.and_(right, each)
        with self._otherwise(right):
            self._refuse(message)
        shape, strides = (
            [
                builder.load(builder.gep(self._field(given, place, _LONG.as_pointer()), [_LONG(axis)]))
                for axis in range(typed.ndim)
            ]
            for place in (_SHAPE_AT, _STRIDES_AT)
        )
        array = self.context.make_array(typed)(self.context, builder)
        data = builder.bitcast(self._field(given, _DATA_AT, _OBJECT), array.data.type)
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=_LONG(dtype.itemsize), meminfo=None)
        return array._getvalue()  # noqa: SLF001

    # ------------------------------------------------------------ the rest

    def _boxed(self, typed: Any, value: Any) -> Any:
        if typed == types.none:
            none = self._known("nextpaint_none")
            self._call("Py_IncRef", ir.VoidType(), none)
            return none
        if typed == types.boolean:
            return self._call("PyBool_FromLong", _OBJECT, self.builder.zext(value, _LONG))
        makers = {
            types.int64: "PyLong_FromLongLong", types.uint64: "PyLong_FromUnsignedLongLong",
            types.float64: "PyFloat_FromDouble",
        }  # fmt: skip
        if typed not in makers:
            raise TypeError(f"kernel {self.name}: the result cannot be of type {typed}; let the caller give the array")
        return self._call(makers[typed], _OBJECT, value)

    def _refuse(self, what: str, error: str = "nextpaint_type_error") -> None:
        text = self.context.insert_const_string(self.module, f"kernel {self.name}: {what}")
        self._call("PyErr_SetString", ir.VoidType(), self._known(error), text)
        self.builder.ret(_OBJECT(None))

    @contextmanager
    def _otherwise(self, holds: Any) -> Iterator[None]:
        with self.builder.if_then(self.builder.not_(holds), likely=False):
            yield

    def _call(self, name: str, result: Any, *given: Any) -> Any:
        declared = ir.FunctionType(result, [each.type for each in given])
        return self.builder.call(cgutils.get_or_insert_function(self.module, declared, name), given)

    def _known(self, name: str) -> Any:
        """An object whose address `record.compiled` gives by name."""
        if name not in self.module.globals:
            ir.GlobalVariable(self.module, _BYTE, name).linkage = "external"
        return self.module.globals[name]

    def _field(self, base: Any, at: int, kind: Any) -> Any:
        place = self.builder.gep(base, [_LONG(at)])
        return self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
