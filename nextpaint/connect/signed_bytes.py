"""Vectors as signed bytes: what indexes in memory keep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PEAK = 127


def as_bytes(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Directions as signed bytes, shape (n, dimensions): as they are where they are that already, else by row to a
    largest component of 127."""
    rounded = np.rint(vectors)
    peaks = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = (rounded != vectors).any(axis=1, keepdims=True) | (peaks > PEAK)
    if scaled.any():
        rounded = np.where(scaled, np.rint(vectors / np.maximum(peaks, np.finfo(np.float32).tiny) * PEAK), rounded)
    return rounded.astype(np.int8)
