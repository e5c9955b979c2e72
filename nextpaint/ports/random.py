"""Chance. Real chance for keys, tokens and nonces; seeded chance for simulation.

Invariant: whatever is drawn here and can reach state is written to the ledger by the drawer; replay draws nothing.
"""

from __future__ import annotations

import os
import random
from typing import Protocol

_DRAWN_BYTES = 4096


class Random(Protocol):
    """A source of random bits."""

    def token(self, size: int) -> bytes:
        """`size` random bytes."""

    def uint64(self) -> int:
        """A uniform integer in [0, 2**64)."""


class SystemRandom:
    """The operating system's cryptographic source, asked for many bytes at a time: each call of it costs microseconds.
    No byte is given twice; for use by one thread, in a process that does not fork."""

    def __init__(self) -> None:
        self._drawn = b""
        self._at = 0

    def token(self, size: int) -> bytes:
        at = self._at
        if at + size > len(self._drawn):
            self._drawn, at = os.urandom(max(size, _DRAWN_BYTES)), 0
        self._at = at + size
        return self._drawn[at : at + size]

    def uint64(self) -> int:
        return int.from_bytes(self.token(8), "big")


class SeededRandom:
    """Reproducible, not secret: the same seed draws the same values on every machine (Mersenne Twister)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uint64(self) -> int:
        return self._random.getrandbits(64)
