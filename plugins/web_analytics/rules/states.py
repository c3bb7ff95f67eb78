"""The states of one team's day in one table; docs/semantics.md says what each means."""

from __future__ import annotations

MISSING = "missing"
INCONSISTENT = "inconsistent"
STALE = "stale"
ORPHAN = "orphan"
COMPLETE = "complete"
SMALL = "small"  # fewer pageviews than WEB_ANALYTICS_MIN_DAILY_PAGEVIEWS
IDLE = "idle"
OPEN = "open"

# The states that a backfill acts on, in their order of precedence.
GAP_KINDS = (MISSING, INCONSISTENT, STALE, ORPHAN)
