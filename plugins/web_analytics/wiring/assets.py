"""The assets that the DAGs update, with their metadata."""

from __future__ import annotations

from airflow.sdk import Asset, AssetAlias, AssetWatcher

from web_analytics.tables import BUILT_TABLES
from web_analytics.teams.posthog_watch import TeamEnabledTrigger

TABLE_ASSETS = {
    table.name: Asset(name=table.name, uri=f"clickhouse://web_analytics/{table.name}", group="web_analytics")
    for table in BUILT_TABLES
}
DECISION_ASSET = Asset(
    name="web_analytics_backfill_decision",
    uri="clickhouse://web_analytics/web_analytics_backfill_log",
    group="web_analytics",
)
TEAM_SELECTION_ASSET = Asset(
    name="web_analytics_team_selection",
    uri="clickhouse://web_analytics/web_pre_aggregated_teams",
    group="web_analytics",
)
# An event of this asset starts web_analytics_team_backfill.
TEAM_ENABLED_ASSET = Asset(
    name="web_analytics_team_enabled",
    uri="clickhouse://web_analytics/web_analytics_team_backfills",
    group="web_analytics",
    watchers=[AssetWatcher(name="posthog_db", trigger=TeamEnabledTrigger())],
)
# Through it the detector reports TEAM_ENABLED_ASSET, but only when a team is waiting.
TEAM_ENABLED_ALIAS = AssetAlias(name="web_analytics_team_waits", group="web_analytics")
