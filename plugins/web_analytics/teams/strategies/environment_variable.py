"""The teams listed in WEB_ANALYTICS_ENABLED_TEAM_IDS."""

from __future__ import annotations

from collections.abc import Iterable

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings


def team_ids(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    return settings.enabled_team_ids
