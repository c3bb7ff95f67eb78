"""The teams that are enabled in web_pre_aggregated_teams, the registry that the REST API writes."""

from __future__ import annotations

from collections.abc import Iterable

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings


def team_ids(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    return (row["team_id"] for row in clickhouse.query("teams/list_enabled"))
