"""Nextpaint: a real-time personalization engine in one process and one data directory."""

__version__ = "0.1.0"
