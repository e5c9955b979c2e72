"""Words everyone shares: types, columns, batches, events, their bytes, and errors. Pure: no I/O, no clock, no state."""
