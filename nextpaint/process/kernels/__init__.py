"""Numeric kernels whose results are the same bits on every x86-64 machine."""
