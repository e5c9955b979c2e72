"""Chance. Real chance for keys, tokens and nonces; seeded chance for simulation.

Invariant: whatever is drawn here and can reach state is written to the ledger by the drawer; replay draws nothing.
"""

from __future__ import annotations

import os
import random
from typing import Protocol


class Random(Protocol):
    """A source of random bits."""

    def token(self, size: int) -> bytes:
        """`size` random bytes."""

    def uint64(self) -> int:
        """A uniform integer in [0, 2**64)."""


class SystemRandom:
    """The operating system's cryptographic source."""

    def token(self, size: int) -> bytes:
        return os.urandom(size)

    def uint64(self) -> int:
        return int.from_bytes(os.urandom(8), "big")


class SeededRandom:
    """Reproducible, not secret: the same seed draws the same values on every machine (Mersenne Twister)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uint64(self) -> int:
        return self._random.getrandbits(64)
