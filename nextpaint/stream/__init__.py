"""The ledger: one durable, totally ordered log of frames, and what keeps it small, whole and free of doubles."""
