"""Nextpaint: a real-time personalization engine in one process and one data directory."""

import os

__version__ = "0.1.0"

# Before NumPy is imported: a matrix-vector product of one decision takes 0.2 ms on one thread and, on a busy machine,
# 12 ms on
# several, which wait for each other. A node decides on one thread; parallelism comes from many requests.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
