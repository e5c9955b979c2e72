"""Functions and models an application brings: how Python declares them, and which are in force while a text is bound.

    @function("DOUBLE", inputs=["STRING", "DOUBLE"])       arrays in, one array out; NULL is None
    def boost(category, price): ...

    @table_function(["STRING", "INT"], inputs=["STRING"])  arrays in, for each row its rows: lists of tuples
    def words(text): ...

    @aggregate("DOUBLE", inputs=["DOUBLE"])                the arrays of a group's rows in, one value out
    def median(values): ...

    @aggregate("DOUBLE", inputs=["DOUBLE", "DOUBLE"])      row by row: create_accumulator(), accumulate(acc, *values),
    class Weighted: ...                                    get_value(acc), merge(acc, others); retract for updates

    @udf(result_type="DOUBLE", input_types=["STRING"])     PyFlink's decorators by name and arguments; also udtf, udaf
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

from nextpaint.record.columns import Value
from nextpaint.record.types import Field, Type

ATTRIBUTE = "__nextpaint_function__"
SCALAR, TABLE, AGGREGATE = "scalar", "table", "aggregate"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a decorator says. Types as written; None: see the annotations."""

    result: Any = None
    inputs: Sequence[Any] | None = None
    rowwise: bool = False
    exact: bool = True
    kind: str = SCALAR


Decorated = Callable[..., Any]


def function(
    result: Any = None, *, inputs: Sequence[Any] | None = None, rowwise: bool = False, exact: bool = True
) -> Callable[[Decorated], Decorated]:
    """Declare a scalar function of SQL over arrays, or over rows."""
    return _marked(Declaration(result, inputs, rowwise, exact))


def table_function(
    results: Any, *, inputs: Sequence[Any] | None = None, rowwise: bool = False, exact: bool = True
) -> Callable[[Decorated], Decorated]:
    """Declare a table function: `results` are its columns' types, or one ROW type that names them too."""
    return _marked(Declaration(results, inputs, rowwise, exact, TABLE))


def aggregate(
    result: Any = None, *, inputs: Sequence[Any] | None = None, exact: bool = True
) -> Callable[[Decorated], Decorated]:
    """Declare an aggregate: a function over the arrays of a group's rows, or a class that folds them one by one."""
    return _marked(Declaration(result, inputs, False, exact, AGGREGATE))


def _marked(declaration: Declaration) -> Callable[[Decorated], Decorated]:
    def mark(code: Decorated) -> Decorated:
        setattr(code, ATTRIBUTE, declaration)
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
    mark = function(result_type, inputs=_several(input_types), rowwise=func_type != "pandas", exact=deterministic)
    return mark if f is None else mark(f)


def udtf(
    f: Decorated | None = None, input_types: Any = None, result_types: Any = None, deterministic: bool = True
) -> Any:
    """PyFlink's decorator of table functions: called row by row, gives or yields tuples or single values."""
    mark = table_function(result_types, inputs=_several(input_types), rowwise=True, exact=deterministic)
    return mark if f is None else mark(f)


def udaf(
    f: Any = None,
    input_types: Any = None,
    result_type: Any = None,
    accumulator_type: Any = None,
    deterministic: bool = True,
    func_type: str = "general",
) -> Any:
    """PyFlink's decorator of aggregates: `general` takes an object (or class) that folds rows, `pandas` a function over
    arrays. An accumulator needs no type here."""
    mark = aggregate(result_type, inputs=_several(input_types), exact=deterministic)
    return mark if f is None else mark(f)


def _several(types: Any) -> Sequence[Any] | None:
    return types if types is None or isinstance(types, list | tuple) else [types]


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A resolved function. `identity` names its code by content. A table function's `result` is the ROW of its
    columns. `retracts`: of an aggregate, can it take rows back?"""

    name: str
    identity: str
    parameters: tuple[Type, ...]
    result: Type
    exact: bool
    kind: str = SCALAR
    retracts: bool = False

    @property
    def options(self) -> tuple[tuple[str, Value], ...]:
        """What a call in a plan says of it."""
        return (("identity", self.identity), ("name", self.name))


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
