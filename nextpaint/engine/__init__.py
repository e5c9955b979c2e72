"""The façade: everything a node can do, and the one replay behind it."""
