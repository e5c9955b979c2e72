"""Models, one file per kind. A model is inexact: what it says enters the ledger as a record, and replay never runs
it."""
