"""Models, one file per kind. Trees are exact: the same bits everywhere, recomputed on replay. Other models are inexact:
what they say enters the ledger as a record, and replay never runs them."""
