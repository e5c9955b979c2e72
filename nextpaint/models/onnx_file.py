"""The bytes of an ONNX file as a graph: nodes, constants, and the shape of its one input.

Only what scoring needs is read of the Protocol Buffers format (https://onnx.ai, onnx.proto), every length checked
against the bytes that are there. Does not do: running it (`onnx_graph.py`), data outside of the file, sparse tensors.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.models.trees import WrongModel

Array = npt.NDArray[Any]
Message = dict[int, list[Any]]  # field number -> its values: int, or bytes (fixed widths too)

NODES_MAX = 10_000
_TYPES: dict[int, tuple[Any, int]] = {1: (np.float32, 4), 11: (np.float64, 8), 6: (np.int32, 4), 7: (np.int64, 8)}


@dataclass(frozen=True, slots=True)
class Node:
    """`operator`: with its domain before a colon where that is not the standard's."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """`wide`: numbers are float64. `constants`: tensors by name."""

    nodes: tuple[Node, ...]
    constants: dict[str, Array]
    input: str
    features: int
    output: str
    wide: bool


def parse(data: bytes) -> Graph:
    """The graph of a file. Raises WrongModel: damaged, or not one matrix in and one number out."""
    try:
        return _graph(data)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, struct.error) as error:
        raise WrongModel("the file is damaged: a part is not of the kind it should be") from error


def _graph(data: bytes) -> Graph:
    graph = _message(_one(_message(data), 7, "graph"))
    constants = dict(_tensor(each) for each in graph[5])
    inputs = [(name, each) for name, each in map(_value, graph[11]) if name not in constants]
    outputs = [name for name, _ in map(_value, graph[12])]
    if len(inputs) != 1 or not outputs:
        raise WrongModel("the graph must have one input of shape (rows, features)")
    name, (kind, shape) = inputs[0]
    if len(shape) != 2 or shape[1] < 1 or kind not in (1, 11):
        raise WrongModel("the graph must have one input of shape (rows, features), of floats or doubles")
    if len(graph[1]) > NODES_MAX:
        raise WrongModel(f"the graph has more than {NODES_MAX} nodes")
    return Graph(tuple(map(_node, graph[1])), constants, name, shape[1], outputs[0], kind == 11)


def _node(data: bytes) -> Node:
    fields = _message(data)
    operator, domain = _text(fields, 4), _text(fields, 7)
    operator = f"{domain}:{operator}" if domain not in ("", "ai.onnx") else operator
    return Node(operator, _texts(fields, 1), _texts(fields, 2), dict(_attribute(each) for each in fields[5]))


def _attribute(data: bytes) -> tuple[str, Any]:
    fields = _message(data)
    name = _text(fields, 1)
    if fields[2]:
        return name, _float(fields[2][0])
    if fields[3]:
        return name, _signed(fields[3][0])
    if fields[4]:
        return name, fields[4][0].decode("utf-8", "replace")
    if fields[5]:
        return name, _tensor(fields[5][0])[1]
    if fields[7]:
        return name, [value for each in fields[7] for value in _packed_floats(each)]
    return name, [value for each in fields[8] for value in _packed(each)]


def _tensor(data: bytes) -> tuple[str, Array]:
    fields = _message(data)
    kind = fields[2][0] if fields[2] else 0
    if kind not in _TYPES or (fields[14] and fields[14][0]):
        raise WrongModel("the model holds numbers of a kind, or in a place, that is not read here")
    dtype, width = _TYPES[kind]
    shape = [value for each in fields[1] for value in _packed(each)]
    if fields[9]:
        raw = fields[9][0]
        if len(raw) % width:
            raise WrongModel("the file is damaged: a tensor has a part of a number")
        values = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    elif kind in (6, 7):
        values = np.array([value for each in fields[5 if kind == 6 else 7] for value in _packed(each)], dtype)
    else:
        parts = b"".join(fields[4 if kind == 1 else 10])
        if len(parts) % width:
            raise WrongModel("the file is damaged: a tensor has a part of a number")
        values = np.frombuffer(parts, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    if any(each < 0 for each in shape) or int(np.prod(shape, dtype=object)) != len(values):
        raise WrongModel("the file is damaged: a tensor has not as many numbers as its shape says")
    return _text(fields, 8), values.reshape(shape)


def _value(data: bytes) -> tuple[str, tuple[int, list[int]]]:
    """An input's or output's name, with kind and shape; -1 = any length."""
    fields = _message(data)
    kinds = _message(fields[2][0]) if fields[2] else defaultdict(list)
    if not kinds[1]:
        return _text(fields, 1), (0, [])
    tensor = _message(kinds[1][0])
    shape = _message(tensor[2][0]) if tensor[2] else defaultdict(list)
    lengths = [_message(each) for each in shape[1]]
    sizes = [_signed(each[1][0]) if each[1] else -1 for each in lengths]
    return _text(fields, 1), (tensor[1][0] if tensor[1] else 0, sizes)


# ---------------------------------------------------------------- Protocol Buffers


def _message(data: bytes) -> Message:
    fields: Message = defaultdict(list)
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            fields[tag >> 3].append(value)
            continue
        if wire not in (1, 2, 5):
            raise WrongModel("the file is damaged, or is not ONNX")
        length = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            length, at = _varint(data, at)
        if at + length > len(data):
            raise WrongModel("the file is damaged: it ends too early")
        fields[tag >> 3].append(data[at : at + length])
        at += length
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
    raise WrongModel("the file is damaged: a number has no end")


def _one(fields: Message, number: int, what: str) -> bytes:
    if len(fields[number]) != 1 or not isinstance(fields[number][0], bytes):
        raise WrongModel(f"the file has no {what}: it is not ONNX")
    return bytes(fields[number][0])


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _float(data: bytes) -> float:
    return float(struct.unpack("<f", data)[0])


def _packed(value: Any) -> list[int]:
    """Integers, one by one or packed."""
    if isinstance(value, int):
        return [_signed(value)]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def _packed_floats(value: bytes) -> list[float]:
    if len(value) % 4:
        raise WrongModel("the file is damaged: a list has a part of a number")
    return [float(each) for each in np.frombuffer(value, "<f4")]


def _text(fields: Message, number: int) -> str:
    return fields[number][0].decode("utf-8", "replace") if fields[number] else ""


def _texts(fields: Message, number: int) -> tuple[str, ...]:
    return tuple(each.decode("utf-8", "replace") for each in fields[number])
