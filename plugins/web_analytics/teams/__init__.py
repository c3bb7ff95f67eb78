"""Who is pre-aggregated: selection, registry, first backfills."""
