"""The demonstration: sample data or an access log, gaps, one real backfill, and the comparison with an oracle."""
