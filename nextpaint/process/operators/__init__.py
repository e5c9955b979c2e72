"""One file per operator. All share `protocol.Operator`: batches in, one batch out, state in cells, pending rows for
live readings."""
