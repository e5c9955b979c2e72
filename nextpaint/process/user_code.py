"""An application's own Python and model files, by content: resolved inside its folder, registered, called.

A function is named by the hash of its module's text and its name, a model by the SHA-256 of its file, so a plan that
replays an older application finds the code it was made with. A module may import the standard library and what is
installed, not its neighbours in the folder: what its hash does not cover must not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from inspect import signature
from types import ModuleType
from typing import Any

from nextpaint.models.ranking import Ranker
from nextpaint.process.scoring import ranker_of
from nextpaint.record.types import Field, Kind, Type
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.typenames import parse_type
from nextpaint.sql.user_functions import ATTRIBUTE, Declaration, UserFunction, UserModel

_PYTHON_TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "STRING", "bool": "BOOLEAN", "bytes": "BYTES"}
MODEL_BYTES_MAX = 8 * 1024 * 1024  # a model file travels in the record that names the application
_MODEL_OPTIONS = ("path", "provider", "sha256")


@dataclass(frozen=True, slots=True)
class Registered:
    """A function as it is called."""

    name: str
    code: Callable[..., Any]
    rowwise: bool


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
        if not callable(code):
            raise ValueError(f"{target} is not a function")
        parameters, result = _types(target, code, declaration)
        digest = blake2b(self._files[file] + b"\0" + attribute.encode(), digest_size=12).hexdigest()
        FUNCTIONS[digest] = Registered(name, code, declaration.rowwise)
        return UserFunction(name, digest, parameters, result, declaration.exact)

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
    """The declaration inside PyFlink's own wrapper of a scalar function."""
    if not hasattr(code, "_func") or not hasattr(code, "_result_type"):
        return None
    inputs = getattr(code, "_input_types", None)
    rowwise = getattr(code, "_func_type", "general") != "pandas"
    exact = bool(getattr(code, "_deterministic", True))
    shown = [str(each) for each in inputs] if inputs else None
    return Declaration(str(code._result_type), shown, rowwise, exact)  # noqa: SLF001  PyFlink has no other way


def _types(target: str, code: Callable[..., Any], declaration: Declaration) -> tuple[tuple[Type, ...], Type]:
    annotations = getattr(code, "__annotations__", {})
    inputs = declaration.inputs
    if inputs is None:
        names = list(signature(code).parameters)
        missing = [name for name in names if name not in annotations]
        if missing:
            raise ValueError(f"the type of {missing[0]} of {target} is not declared; annotate it or give inputs=[...]")
        inputs = [annotations[name] for name in names]
    result = declaration.result if declaration.result is not None else annotations.get("return")
    if result is None:
        raise ValueError(f"the result type of {target} is not declared; write @function('DOUBLE') or -> float")
    return tuple(_type(each) for each in inputs), _type(result)


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
