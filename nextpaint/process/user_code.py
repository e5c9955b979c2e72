"""An application's own Python and model files, by content: resolved inside its folder, registered, called.

A function is named by the hash of its module's text and its name, a model by the SHA-256 of its file, so a plan that
replays an older application finds the code it was made with. A module may import the standard library and what is
installed, not its neighbours in the folder: what its hash does not cover must not change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from inspect import signature
from types import ModuleType
from typing import Any

from nextpaint.models.ranking import Ranker
from nextpaint.process.folding import folding
from nextpaint.process.scoring import ranker_of
from nextpaint.record.types import Field, Kind, Type, row
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.typenames import parse_type
from nextpaint.sql.user_functions import AGGREGATE, ATTRIBUTE, SCALAR, TABLE, Declaration, UserFunction, UserModel

_PYTHON_TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "STRING", "bool": "BOOLEAN", "bytes": "BYTES"}
MODEL_BYTES_MAX = 8 * 1024 * 1024  # a model file travels in the record that names the application
_MODEL_OPTIONS = ("path", "provider", "sha256")


@dataclass(frozen=True, slots=True)
class Registered:
    """A function as it is called. `code` of an aggregate: a function over arrays, or a `Folding`."""

    name: str
    code: Any
    rowwise: bool
    kind: str
    parameters: tuple[Type, ...]
    result: Type


FUNCTIONS: dict[str, Registered] = {}  # by identity
MODELS: dict[str, Ranker] = {}  # by identity


class FolderLibrary:
    """Resolves against the files of an application."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._modules: dict[str, ModuleType] = {}

    def function(self, name: str, target: str) -> UserFunction:
        """`module.attr`. Raises ValueError."""
        module, dot, attribute = target.rpartition(".")
        file = f"{module}.py"
        if not dot or not all(part.isidentifier() for part in (module, attribute)):
            raise ValueError(f"'{target}' is not 'module.name'")
        if file not in self._files:
            raise ValueError(f"there is no {file} in the application's folder")
        code = getattr(self._module(module, file), attribute, None)
        if code is None:
            raise ValueError(f"{file} has no {attribute}")
        declaration = getattr(code, ATTRIBUTE, None) or _of_pyflink(code) or Declaration()
        code = getattr(code, "_func", code)
        code = getattr(code, "eval", code)  # PyFlink's ScalarFunction and TableFunction
        if declaration.kind == AGGREGATE:
            code = folding(target, code)
        if not callable(getattr(code, "accumulate", code)):
            raise ValueError(f"{target} is not a function")
        parameters, result = _types(target, code, declaration)
        digest = blake2b(self._files[file] + b"\0" + attribute.encode(), digest_size=12).hexdigest()
        retracts = not hasattr(code, "accumulate") or hasattr(code, "retract")
        FUNCTIONS[digest] = Registered(name, code, declaration.rowwise, declaration.kind, parameters, result)
        return UserFunction(name, digest, parameters, result, declaration.exact, declaration.kind, retracts)

    def _module(self, name: str, file: str) -> ModuleType:
        if name not in self._modules:
            made = ModuleType(name)
            made.__file__ = file
            try:
                exec(compile(self._files[file], file, "exec"), made.__dict__)
            except Exception as error:  # a declared edge
                raise ValueError(f"{file}: {type(error).__name__}: {error}") from error
            self._modules[name] = made
        return self._modules[name]

    def model(
        self, name: str, inputs: tuple[Field, ...], outputs: tuple[Field, ...], options: Mapping[str, str]
    ) -> UserModel:
        """`'provider' = 'file', 'path' = ..., 'sha256' = ...`. Raises ValueError."""
        unknown = sorted(set(options) - set(_MODEL_OPTIONS))
        if unknown:
            raise ValueError(f"unknown option '{unknown[0]}'; supported: {', '.join(_MODEL_OPTIONS)}")
        if options.get("provider") != "file":
            raise ValueError(f"there is no provider '{options.get('provider', '')}' here; 'provider' = 'file'")
        path, digest = options.get("path", ""), options.get("sha256", "")
        if path not in self._files:
            raise ValueError(f"there is no {path or 'path'} in the application's folder")
        if len(outputs) != 1 or outputs[0].type.kind is not Kind.DOUBLE:
            raise ValueError("a model of a file has one output: OUTPUT (score DOUBLE)")
        if not inputs or not all(each.type.is_numeric or each.type.kind is Kind.BOOLEAN for each in inputs):
            raise ValueError("a model of a file takes numbers: INPUT (a DOUBLE, ...)")
        ranker = ranker_of(path, self._files[path], digest)
        if len(ranker.features) != len(inputs):
            raise ValueError(f"the model takes {len(ranker.features)} features: {', '.join(ranker.features)}")
        MODELS[ranker.identity] = ranker
        return UserModel(name, ranker.identity, inputs, outputs, ranker.exact)


def _of_pyflink(code: Any) -> Declaration | None:
    """The declaration inside PyFlink's own wrapper of a function; PyFlink has no other way to ask."""
    if not hasattr(code, "_func"):
        return None
    result, kind = getattr(code, "_result_type", None), SCALAR
    if hasattr(code, "_result_types"):
        result, kind = code._result_types, TABLE  # noqa: SLF001
        result = result if isinstance(result, str) else [str(each) for each in result]
    elif hasattr(code, "_accumulator_type"):
        kind = AGGREGATE
    if result is None:
        return None
    inputs = getattr(code, "_input_types", None)
    rowwise = getattr(code, "_func_type", "general") != "pandas"
    exact = bool(getattr(code, "_deterministic", True))
    shown = [str(each) for each in inputs] if inputs else None
    return Declaration(result if kind == TABLE else str(result), shown, rowwise, exact, kind)


def _types(target: str, code: Any, declaration: Declaration) -> tuple[tuple[Type, ...], Type]:
    folds = hasattr(code, "accumulate")
    taking, giving = (code.accumulate, code.get_value) if folds else (code, code)
    annotations = getattr(taking, "__annotations__", {})
    inputs = declaration.inputs
    if inputs is None:
        names = list(signature(taking).parameters)[1 if folds else 0 :]
        missing = [name for name in names if name not in annotations]
        if missing:
            raise ValueError(f"the type of {missing[0]} of {target} is not declared; annotate it or give inputs=[...]")
        inputs = [annotations[name] for name in names]
    parameters = tuple(_type(each) for each in inputs)
    if declaration.kind == TABLE:
        return parameters, _row_type(target, declaration.result)
    result = declaration.result
    if result is None:
        result = getattr(giving, "__annotations__", {}).get("return")
    if result is None:
        example = "@aggregate('DOUBLE')" if declaration.kind == AGGREGATE else "@function('DOUBLE')"
        raise ValueError(f"the result type of {target} is not declared; write {example} or -> float")
    return parameters, _type(result)


def _row_type(target: str, results: Any) -> Type:
    """A table function's columns as a ROW; without names they are f0, f1, ..., as in Flink."""
    if not results:
        raise ValueError(f"the columns of {target} are not declared; write @table_function(['STRING', 'INT'])")
    several = [_type(each) for each in (results if isinstance(results, list | tuple) else [results])]
    if len(several) == 1 and several[0].kind is Kind.ROW:
        return several[0]
    return row(*(Field(f"f{index}", each) for index, each in enumerate(several)))


def _type(written: Any) -> Type:
    text = written.__name__ if isinstance(written, type) else str(written)
    text = _PYTHON_TYPES.get(text.strip("'\" "), text.strip("'\" "))
    try:
        cursor = Cursor(tokenize(text))
        found = parse_type(cursor)
        cursor.expect_end()
    except Refusal as refusal:
        raise ValueError(f"{refusal.what} ({refusal.cure})" if refusal.cure else refusal.what) from None
    return found
