"""The busiest teams: the first WEB_ANALYTICS_TOP_TEAMS_LIMIT by median daily pageviews.

The median is that of the 30 complete UTC days before today, with 0 for a day without pageviews, so that one loud
day makes no team a busy one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from web_analytics.clickhouse import ClickHouse
from web_analytics.partitions import lookback
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
    return (row["team_id"] for row in clickhouse.query("teams/list_busiest", parameters, heavy=True))
