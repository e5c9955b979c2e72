"""Conformance: SQL cases with the rows Apache Flink gives, run through our engine and compared.

docs/conformance.md describes a case and what is compared.
"""
