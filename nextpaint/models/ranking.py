"""Model files that give one number per row of features: loaded by content hash, scored in batches.

    ranker = load(Path("ctr.txt"), "3b1f...", logistic)
    scores = ranker.predict(matrix)            float64 (rows, features) -> float64 (rows,)

| file                                   | read by                    | exact |
|----------------------------------------|----------------------------|-------|
| LightGBM text (`*.txt`, `*.lgb`)        | `lightgbm_text`, `trees`   | yes   |
| XGBoost JSON (`*.json`)                 | `xgboost_json`, `trees`    | yes   |
| ONNX (`*.onnx`) of known operators      | `onnx_file`, `onnx_graph`  | yes   |
| other ONNX, with the extra `rank`       | onnxruntime, one thread    | no    |

Exact: the same bits on every machine, so a replay computes it again. Inexact: a score that reaches state must enter the
ledger as a record first. The hash pins the bytes: another file is another model, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256 as hash_of
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

from nextpaint.models import lightgbm_text, onnx_file, xgboost_json
from nextpaint.models.onnx_graph import ExactGraph
from nextpaint.models.trees import Forest, Matrix, WrongModel

BYTES_MAX = 512 * 1024 * 1024  # a file above this is not read into memory

Function = Callable[[Matrix], Matrix]


@dataclass(frozen=True, slots=True)
class Links:
    """What turns rows into sums of leaves, and a sum into a prediction. The caller brings exact ones
    (`process/scoring.py`)."""

    exp: Function
    sums: Callable[[Forest, Matrix], Matrix]

    def apply(self, link: str, scores: Matrix) -> Matrix:
        if link == "identity":
            return scores
        with np.errstate(over="ignore"):
            return self.exp(scores) if link == "exp" else 1.0 / (1.0 + self.exp(-scores))


class Ranker(Protocol):
    """A loaded model. `features`: names in the order of the matrix's columns. `identity`: the hash of its bytes."""

    @property
    def identity(self) -> str: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    @property
    def exact(self) -> bool: ...

    def predict(self, matrix: Matrix) -> Matrix:
        """One number per row, as the training library's `predict` gives it. Raises ValueError on a wrong width."""


@dataclass(frozen=True, slots=True)
class TreeRanker:
    """Trees and their link."""

    identity: str
    features: tuple[str, ...]
    forest: Forest
    link: str
    factor: float
    links: Links
    exact: bool = True

    def predict(self, matrix: Matrix) -> Matrix:
        scores = self.links.sums(self.forest, _checked(matrix, len(self.features))) * self.factor
        return self.links.apply(self.link, scores)


@dataclass(frozen=True, slots=True)
class NetworkRanker:
    """An ONNX graph whose operators are all run here."""

    identity: str
    graph: ExactGraph
    exact: bool = True

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(f"f{index}" for index in range(self.graph.features))

    def predict(self, matrix: Matrix) -> Matrix:
        return self.graph.scores(_checked(matrix, self.graph.features))


class OnnxRanker:
    """A graph run by onnxruntime: one input (rows, features), one number per row in its first output."""

    exact = False

    def __init__(self, data: bytes, identity: str) -> None:
        try:
            import onnxruntime  # an extra: only an application with an .onnx model needs it
        except ImportError as error:
            raise WrongModel("reading .onnx needs the extra: pip install 'nextpaint[rank]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a declared edge
            raise WrongModel(f"onnxruntime cannot read the model: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 2 or not isinstance(inputs[0].shape[1], int):
            raise WrongModel("the graph must have one input of shape (rows, features)")
        self._input = inputs[0].name
        self._dtype = np.float64 if "double" in inputs[0].type else np.float32
        self.identity = identity
        self.features = tuple(f"f{index}" for index in range(inputs[0].shape[1]))

    def predict(self, matrix: Matrix) -> Matrix:
        values = _checked(matrix, len(self.features)).astype(self._dtype)
        found = np.asarray(self._session.run(None, {self._input: values})[0], np.float64)
        if found.size != len(matrix):
            raise ValueError(f"the model gave {found.size} numbers for {len(matrix)} rows")
        return found.reshape(len(matrix))


def load(path: Path, sha256: str, links: Links) -> Ranker:
    """The model in a file whose SHA-256 is `sha256` (hex). Raises WrongModel: what is wrong and what to do."""
    if path.stat().st_size > BYTES_MAX:
        raise WrongModel(f"{path.name} has more than {BYTES_MAX} bytes")
    return of_bytes(path.name, path.read_bytes(), sha256, links)


def of_bytes(name: str, data: bytes, sha256: str, links: Links) -> Ranker:
    """The same for a file's bytes. The kind is the ending of `name`."""
    found = hash_of(data).hexdigest()
    if found != sha256.lower():
        raise WrongModel(f"{name} has SHA-256 {found}, not {sha256}: pin the file you mean")
    match PurePath(name).suffix.lower():
        case ".onnx":
            return _onnx(data, found, links)
        case ".json":
            forest, names, link, factor = xgboost_json.parse(data)
        case ".txt" | ".lgb":
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise WrongModel(f"{name} is not text: write it with Booster.save_model(path)") from error
            forest, names, link, factor = lightgbm_text.parse(text)
        case ending:
            raise WrongModel(f"models ending in '{ending}' are not known; .txt (LightGBM), .json (XGBoost) or .onnx")
    return TreeRanker(found, names, forest, link, factor, links)


def _onnx(data: bytes, identity: str, links: Links) -> Ranker:
    """A graph run exactly, or by onnxruntime where it has something that is not known here."""
    try:
        return NetworkRanker(identity, ExactGraph(onnx_file.parse(data), links.exp))
    except WrongModel:
        return OnnxRanker(data, identity)


def _checked(matrix: Matrix, width: int) -> Matrix:
    if matrix.ndim != 2 or matrix.shape[1] != width:
        raise ValueError(f"the model takes {width} features per row, not shape {matrix.shape}")
    return matrix
