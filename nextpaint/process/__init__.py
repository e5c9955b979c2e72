"""The streaming engine: operators over batches, paged state, watermarks and timers, checkpoints, live readings."""
