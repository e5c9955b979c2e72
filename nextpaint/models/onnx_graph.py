"""ONNX graphs of small networks and linear models, run exactly: the same bits on every machine.

    graph = ExactGraph(onnx_file.parse(data), links.exp)
    scores = graph.scores(matrix)                 float64 (rows, features) -> float64 (rows,)

Each number is the result of + - * / in a fixed order, of a square root, or of our own exponential, rounded to the
graph's width. A product of matrices is summed over the inner dimension from its first element to its last in float64.
onnxruntime sums in an order of its own, so its scores agree within rounding only. `OPERATORS` is what is run here; a
graph with anything else is left to onnxruntime, and is inexact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.models.onnx_file import Graph, Node
from nextpaint.models.trees import Matrix, WrongModel

Array = npt.NDArray[Any]
Function = Callable[[Matrix], Matrix]
Operator = Callable[[Node, list[Array], Function], Array]


class ExactGraph:
    """A checked graph: every node's operator is known here."""

    def __init__(self, graph: Graph, exp: Function) -> None:
        unknown = sorted({each.operator for each in graph.nodes} - set(OPERATORS))
        if any(not each.outputs for each in graph.nodes):
            raise WrongModel("the file is damaged: a node gives nothing")
        if unknown:
            raise WrongModel(f"the graph uses {', '.join(unknown)}, which is not scored exactly")
        self._graph, self._exp = graph, exp
        self._dtype = np.float64 if graph.wide else np.float32
        self.features = graph.features
        self.scores(np.zeros((2, graph.features)))  # shapes that do not fit are found now

    def scores(self, matrix: Matrix) -> Matrix:
        """One number per row. Raises WrongModel where the graph's shapes do not fit together."""
        values: dict[str, Array] = {**self._graph.constants, self._graph.input: matrix.astype(self._dtype)}
        with np.errstate(all="ignore"):
            for node in self._graph.nodes:
                values[node.outputs[0]] = self._made(node, values)
        found = values.get(self._graph.output)
        if found is None or found.size != len(matrix):
            raise WrongModel("the graph does not give one number for each row")
        return np.asarray(found.reshape(len(matrix)), np.float64)

    def _made(self, node: Node, values: Mapping[str, Array]) -> Array:
        given = [values[name] for name in node.inputs if name and name in values]
        if len(given) != sum(bool(name) for name in node.inputs):
            raise WrongModel(f"{node.operator} reads what nothing gives: the file is damaged")
        try:
            made = OPERATORS[node.operator](node, given, self._exp)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise WrongModel(f"{node.operator} does not fit its inputs: {error}") from error
        return made.astype(self._dtype) if made.dtype.kind == "f" else made


# ---------------------------------------------------------------- operators


def _product(left: Array, right: Array) -> Array:
    """Left @ right of two matrices, summed from the first element to the last."""
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"shapes {left.shape} and {right.shape}")
    total = np.zeros((len(left), right.shape[1]), np.float64)
    first, second = left.astype(np.float64), right.astype(np.float64)
    for index in range(len(second)):
        total = total + first[:, index : index + 1] * second[index]
    return total


def _matmul(node: Node, given: list[Array], exp: Function) -> Array:
    return _product(given[0], given[1])


def _gemm(node: Node, given: list[Array], exp: Function) -> Array:
    left = given[0].T if node.attributes.get("transA") else given[0]
    right = given[1].T if node.attributes.get("transB") else given[1]
    total = _product(left, right) * node.attributes.get("alpha", 1.0)
    if len(given) > 2:
        total = total + given[2].astype(np.float64) * node.attributes.get("beta", 1.0)
    return np.asarray(total)


def _elementwise(function: Callable[[Array, Array], Array]) -> Operator:
    return lambda node, given, exp: function(given[0], given[1])


def _unary(function: Callable[[Array], Array]) -> Operator:
    return lambda node, given, exp: function(given[0])


def _exponential(values: Array, exp: Function) -> Matrix:
    wide = values.astype(np.float64)
    return exp(wide.reshape(-1)).reshape(wide.shape)


def _sigmoid(node: Node, given: list[Array], exp: Function) -> Array:
    return 1.0 / (1.0 + _exponential(-given[0], exp))


def _tanh(node: Node, given: list[Array], exp: Function) -> Array:
    return 1.0 - 2.0 / (_exponential(given[0] * 2, exp) + 1.0)


def _softmax(node: Node, given: list[Array], exp: Function) -> Array:
    values = given[0].astype(np.float64)
    if values.ndim != 2 or node.attributes.get("axis", -1) not in (-1, 1):
        raise ValueError("only over the columns of a matrix")
    powers = _exponential(values - values.max(axis=1, keepdims=True), exp)
    total = np.zeros((len(values), 1))
    for column in range(values.shape[1]):
        total = total + powers[:, column : column + 1]
    return powers / total


def _leaky(node: Node, given: list[Array], exp: Function) -> Array:
    return np.where(given[0] < 0, given[0] * node.attributes.get("alpha", 0.01), given[0])


def _clip(node: Node, given: list[Array], exp: Function) -> Array:
    low = given[1] if len(given) > 1 else node.attributes.get("min", -np.inf)
    high = given[2] if len(given) > 2 else node.attributes.get("max", np.inf)
    return np.asarray(np.minimum(np.maximum(given[0], low), high))


def _normalized(node: Node, given: list[Array], exp: Function) -> Array:
    values, scale, bias, mean, variance = (each.astype(np.float64) for each in given[:5])
    return np.asarray((values - mean) / np.sqrt(variance + node.attributes.get("epsilon", 1e-5)) * scale + bias)


def _scaled(node: Node, given: list[Array], exp: Function) -> Array:
    offset, scale = np.array(node.attributes.get("offset", [0.0])), np.array(node.attributes.get("scale", [1.0]))
    return np.asarray((given[0] - offset) * scale)


def _linear(node: Node, given: list[Array], exp: Function) -> Array:
    targets = node.attributes.get("targets", 1)
    weights = np.array(node.attributes["coefficients"]).reshape(targets, -1)
    if node.attributes.get("post_transform", "NONE") != "NONE":
        raise ValueError("a transform after it")
    return np.asarray(_product(given[0], weights.T) + np.array(node.attributes.get("intercepts", [0.0] * targets)))


def _reshape(node: Node, given: list[Array], exp: Function) -> Array:
    shape = [given[0].shape[at] if each == 0 else int(each) for at, each in enumerate(given[1].tolist())]
    return given[0].reshape(shape)


def _flatten(node: Node, given: list[Array], exp: Function) -> Array:
    return given[0].reshape(len(given[0]), -1)


def _squeeze(node: Node, given: list[Array], exp: Function) -> Array:
    axes = given[1].tolist() if len(given) > 1 else node.attributes.get("axes", [])
    return given[0].squeeze(tuple(axes)) if axes else given[0].squeeze()


def _concat(node: Node, given: list[Array], exp: Function) -> Array:
    return np.concatenate(given, axis=node.attributes["axis"])


def _cast(node: Node, given: list[Array], exp: Function) -> Array:
    if node.attributes.get("to") not in (1, 11) or given[0].dtype.kind != "f":
        raise ValueError("only from one width of floats to another")
    return given[0]


def _constant(node: Node, given: list[Array], exp: Function) -> Array:
    value = node.attributes.get("value", node.attributes.get("value_float"))
    return np.asarray(value)


OPERATORS: dict[str, Operator] = {
    "Abs": _unary(np.abs),
    "Add": _elementwise(np.add),
    "BatchNormalization": _normalized,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Div": _elementwise(np.divide),
    "Dropout": _unary(lambda value: value),
    "Exp": lambda node, given, exp: _exponential(given[0], exp),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "Identity": _unary(lambda value: value),
    "LeakyRelu": _leaky,
    "MatMul": _matmul,
    "Max": _elementwise(np.maximum),
    "Min": _elementwise(np.minimum),
    "Mul": _elementwise(np.multiply),
    "Neg": _unary(np.negative),
    "Relu": _unary(lambda value: np.maximum(value, 0)),
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Sqrt": _unary(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(np.subtract),
    "Tanh": _tanh,
    "ai.onnx.ml:LinearRegressor": _linear,
    "ai.onnx.ml:Scaler": _scaled,
}
