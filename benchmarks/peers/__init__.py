"""``make bench-peers``: the same missing days filled by this package and by what a user would take instead."""
