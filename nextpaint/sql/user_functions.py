"""Functions and models an application brings: how Python declares them, and which are in force while a text is bound.

    @function("DOUBLE", inputs=["STRING", "DOUBLE"])       arrays in, one array out; NULL is None
    def boost(category, price): ...

    @udf(result_type="DOUBLE", input_types=["STRING"])     PyFlink's decorator by name and arguments: one row at a time
    def score(category): ...

Types may be annotations instead: `int` (BIGINT), `float` (DOUBLE), `str`, `bool`, `bytes`, or text that names a SQL
type. `exact=False` (PyFlink: `deterministic=False`) says that two runs may differ; such a function is refused where its
result would reach state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from nextpaint.record.types import Field, Type

ATTRIBUTE = "__nextpaint_function__"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a decorator says. Types as written; None: see the annotations."""

    result: Any = None
    inputs: Sequence[Any] | None = None
    rowwise: bool = False
    exact: bool = True


Decorated = Callable[..., Any]


def function(
    result: Any = None, *, inputs: Sequence[Any] | None = None, rowwise: bool = False, exact: bool = True
) -> Callable[[Decorated], Decorated]:
    """Declare a scalar function of SQL over arrays, or over rows."""

    def mark(code: Decorated) -> Decorated:
        setattr(code, ATTRIBUTE, Declaration(result, inputs, rowwise, exact))
        return code

    return mark


def udf(
    f: Decorated | None = None,
    input_types: Any = None,
    result_type: Any = None,
    deterministic: bool = True,
    func_type: str = "general",
) -> Any:
    """PyFlink's decorator: `general` is called row by row, `pandas` with arrays."""
    inputs = None if input_types is None else input_types if isinstance(input_types, list | tuple) else [input_types]
    mark = function(result_type, inputs=inputs, rowwise=func_type != "pandas", exact=deterministic)
    return mark if f is None else mark(f)


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A resolved function. `identity` names its code by content."""

    name: str
    identity: str
    parameters: tuple[Type, ...]
    result: Type
    exact: bool


@dataclass(frozen=True, slots=True)
class UserModel:
    """A resolved model. `identity` is the SHA-256 of its file."""

    name: str
    identity: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    exact: bool


class Library(Protocol):
    """Where CREATE FUNCTION and CREATE MODEL are resolved. Both raise ValueError: what is wrong."""

    def function(self, name: str, target: str) -> UserFunction: ...

    def model(
        self, name: str, inputs: tuple[Field, ...], outputs: tuple[Field, ...], options: Mapping[str, str]
    ) -> UserModel: ...


@dataclass(frozen=True, slots=True)
class InForce:
    """Functions by their name in upper case (SQL finds functions in any case), models by their name; `zone`: the
    session's time zone, empty for UTC."""

    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    models: Mapping[str, UserModel] = field(default_factory=dict)
    continuous: bool = True
    zone: str = ""


_IN_FORCE: ContextVar[InForce] = ContextVar("user_functions", default=InForce())  # noqa: B039  frozen


def in_force() -> InForce:
    """What the text that is being bound may call."""
    return _IN_FORCE.get()


@contextmanager
def declared(what: InForce) -> Iterator[None]:
    """`what` is in force inside."""
    token = _IN_FORCE.set(what)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
