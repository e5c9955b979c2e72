"""The only doors to the outside: clock, disk, randomness and worker threads, each real and simulated.

Invariant: no other room opens a file, reads a clock, asks for random bytes or starts a thread. A node that is given
simulated ports therefore runs in one thread, and one seed reproduces everything it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from nextpaint.ports.clock import Clock, SimulatedClock, SystemClock
from nextpaint.ports.disk import Disk, File, Lock, Locked, ReadOnlyDisk, SystemDisk
from nextpaint.ports.random import Random, SeededRandom, SystemRandom
from nextpaint.ports.simulated import SimulatedCrash, SimulatedDisk
from nextpaint.ports.workers import InlineWorkers, SimulatedWorkers, ThreadWorkers, Workers

__all__ = [
    "Clock",
    "Disk",
    "File",
    "InlineWorkers",
    "Lock",
    "Locked",
    "Ports",
    "Random",
    "ReadOnlyDisk",
    "SeededRandom",
    "SimulatedClock",
    "SimulatedCrash",
    "SimulatedDisk",
    "SimulatedWorkers",
    "SystemClock",
    "SystemDisk",
    "SystemRandom",
    "ThreadWorkers",
    "Workers",
]


@dataclass(frozen=True, slots=True)
class Ports:
    """What a node is given of the outside."""

    clock: Clock
    disk: Disk
    random: Random
    workers: Workers
