"""The busiest teams: the first WEB_ANALYTICS_TOP_TEAMS_LIMIT by median daily pageviews.

The median is that of the 30 complete UTC days before today, with 0 for a day without pageviews, so that one loud
day makes no team a busy one. It is taken from the kept activity as the last detection left it; where that does not
cover the range yet, the source is scanned.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import activity
from web_analytics.rules.partitions import lookback
from web_analytics.settings import Settings

DAYS = 30


def team_ids(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    days = lookback(datetime.now(UTC).date(), DAYS)
    parameters = {
        "date_start": days.start,
        "date_end": days.end,
        "days": DAYS,
        "limit": settings.top_teams_limit,
    }
    known = activity.known_range(clickhouse, settings)
    names = {
        "activity_is_kept": activity.is_kept(settings) and known.contains(days),
        "bucket_minutes": settings.bucket_minutes,
        "has_part_name": known.has_part_name,
    }
    return (row["team_id"] for row in clickhouse.query("teams/list_busiest", parameters, names, heavy=True))
