"""ONNX graphs scored exactly: beside onnxruntime, row by row, and what is refused."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from nextpaint.models.onnx_file import parse
from nextpaint.models.onnx_graph import ExactGraph
from nextpaint.models.ranking import TreeRanker
from nextpaint.models.trees import WrongModel
from nextpaint.process.kernels.exact_math import exp_array
from nextpaint.process.scoring import ranker_of

CHANCE = np.random.default_rng(7)

# ---------------------------------------------------------------- files


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def part(number: int, value: Any) -> bytes:
    """One field: an integer, a float or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: Any) -> bytes:
    kind = {np.dtype(np.float32): 1, np.dtype(np.float64): 11, np.dtype(np.int64): 7}[values.dtype]
    dims = b"".join(part(1, size) for size in values.shape)
    return dims + part(2, kind) + part(8, name) + part(9, values.tobytes())


def attribute(name: str, value: Any) -> bytes:
    if isinstance(value, int):
        return part(1, name) + part(3, value) + part(20, 2)
    if isinstance(value, float):
        return part(1, name) + part(2, value) + part(20, 1)
    return part(1, name) + b"".join(part(7, float(each)) for each in value) + part(20, 6)


def node(operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> bytes:
    made = b"".join(part(1, each) for each in inputs) + part(2, output) + part(4, operator)
    made += b"".join(part(5, attribute(name, value)) for name, value in attributes.items())
    return made + (part(7, domain) if domain else b"")


def value(name: str, kind: int, width: int) -> bytes:
    shape = part(1, part(2, "rows")) + part(1, part(1, width))
    return part(1, name) + part(2, part(1, part(1, kind) + part(2, shape)))


def model(nodes: list[bytes], constants: dict[str, Any], width: int, kind: int = 1) -> bytes:
    graph = b"".join(part(1, each) for each in nodes) + part(2, "g")
    graph += b"".join(part(5, tensor(name, each)) for name, each in constants.items())
    graph += part(11, value("x", kind, width)) + part(12, value("y", kind, 1))
    opsets = part(8, part(1, "") + part(2, 17)) + part(8, part(1, "ai.onnx.ml") + part(2, 3))
    return part(1, 8) + opsets + part(7, graph)


def drawn(*shape: int) -> Any:
    return CHANCE.normal(size=shape).astype(np.float32)


NETWORK = model(
    [
        node("BatchNormalization", ["x", "scale", "bias", "mean", "var"], "n", epsilon=1e-3),
        node("Gemm", ["n", "W1", "b1"], "h1", alpha=0.5, beta=2.0, transB=1), node("Relu", ["h1"], "r1"),
        node("Gemm", ["r1", "W2", "b2"], "h2"), node("Tanh", ["h2"], "r2"),
        node("Concat", ["r1", "r2"], "c", axis=1), node("MatMul", ["c", "W3"], "h3"), node("Sigmoid", ["h3"], "y"),
    ],
    {
        "scale": drawn(6), "bias": drawn(6), "mean": drawn(6), "var": np.abs(drawn(6)) + 0.1,
        "W1": drawn(8, 6), "b1": drawn(8), "W2": drawn(8, 5), "b2": drawn(5), "W3": drawn(13, 1),
    }, 6,
)  # fmt: skip
MARGIN = model(
    [
        node("Scaler", ["x"], "s", "ai.onnx.ml", offset=[0.5, 0.25, -1.0], scale=[2.0, 4.0, 0.5]),
        node("MatMul", ["s", "W"], "h"), node("LeakyRelu", ["h"], "l", alpha=0.125),
        node("Softmax", ["l"], "p", axis=1),
        node("MatMul", ["p", "last"], "m"), node("Mul", ["m", "two"], "t"), node("Sub", ["t", "one"], "y"),
    ],
    {
        "W": drawn(3, 2), "last": np.array([[0.0], [1.0]], np.float32), "two": np.array([2], np.float32),
        "one": np.array([1], np.float32),
    }, 3,
)  # fmt: skip
WIDE = model(
    [node("MatMul", ["x", "W"], "h"), node("Add", ["h", "b"], "a"), node("Exp", ["a"], "y")],
    {"W": drawn(4, 1).astype(np.float64) / 4, "b": np.array([0.5])}, 4, 11,
)  # fmt: skip
LINEAR = model(
    [node("LinearRegressor", ["x"], "y", "ai.onnx.ml", coefficients=[0.5, -1.25, 2.0], intercepts=[0.75])], {}, 3
)
FILES = {"network": NETWORK, "margin": MARGIN, "wide": WIDE, "linear": LINEAR}


def loaded(data: bytes) -> Any:
    return ranker_of("model.onnx", data, sha256(data).hexdigest())


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("name", FILES)
def test_scores_are_those_of_onnxruntime_within_rounding(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'rank' is not installed")
    ranker = loaded(FILES[name])
    assert ranker.exact and not isinstance(ranker, TreeRanker)
    matrix = CHANCE.normal(size=(200, len(ranker.features))) * 2
    session = onnxruntime.InferenceSession(FILES[name], providers=["CPUExecutionProvider"])
    given = matrix.astype(np.float64 if name == "wide" else np.float32)
    np.testing.assert_allclose(ranker.predict(matrix), session.run(None, {"x": given})[0].reshape(-1), 2e-5, 2e-6)


@pytest.mark.parametrize("name", FILES)
def test_a_score_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    ranker = loaded(FILES[name])
    matrix = CHANCE.normal(size=(33, len(ranker.features)))
    alone = np.concatenate([ranker.predict(matrix[at : at + 1]) for at in range(len(matrix))])
    assert ranker.predict(matrix).tobytes() == alone.tobytes()


def test_a_product_is_summed_from_its_first_element_to_its_last() -> None:
    weights = np.array([[1.0], [1e17], [-1e17]])
    data = model([node("MatMul", ["x", "W"], "y")], {"W": weights}, 3, 11)
    assert loaded(data).predict(np.ones((1, 3))).tolist() == [0.0], "1 is lost in 1e17 before that is taken back"


# ---------------------------------------------------------------- what does not fit


def test_an_operator_that_is_not_known_leaves_the_graph_to_onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'rank' is not installed")
    data = model([node("Sin", ["x"], "s"), node("MatMul", ["s", "W"], "y")], {"W": drawn(3, 1)}, 3)
    ranker = loaded(data)
    assert not ranker.exact and len(ranker.predict(np.ones((2, 3)))) == 2


@pytest.mark.parametrize(
    "data",
    [
        model([node("MatMul", ["x", "W"], "y")], {"W": drawn(4, 1)}, 3),
        model([node("MatMul", ["x", "W"], "y")], {"W": drawn(3, 2)}, 3),
        model([node("MatMul", ["x", "V"], "y")], {"W": drawn(3, 1)}, 3),
        NETWORK[: len(NETWORK) // 2],
        b"not a model",
        b"",
    ],
    ids=["shapes", "two numbers", "missing", "cut", "text", "empty"],
)
def test_a_graph_that_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        loaded(data).predict(np.ones((3, 3)))


def test_damaged_bytes_are_refused_or_scored_and_never_break() -> None:
    chance = np.random.default_rng(3)
    for _ in range(400):
        damaged = bytearray(MARGIN)
        for at in chance.integers(0, len(damaged), 2):
            damaged[at] = int(chance.integers(0, 256))
        try:
            graph = ExactGraph(parse(bytes(damaged)), exp_array)
            graph.scores(np.ones((2, graph.features)))
        except WrongModel:
            continue
