"""Scalar SQL expressions compiled to functions over columns: `compile` is the entry, one file per family."""
