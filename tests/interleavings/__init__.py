"""Every interleaving of the steps of a date: see README.md."""
