"""What the benches share: a filled shop, a node in a process of its own, a plain HTTP client, tables of medians."""
