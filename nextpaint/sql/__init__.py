"""Flink SQL text to a typed logical plan. Pure: reads no state, runs nothing."""
