"""What the source holds, what the tables hold, and where they differ."""
