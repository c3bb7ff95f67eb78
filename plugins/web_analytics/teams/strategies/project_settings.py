"""The projects that switched pre-aggregation on in PostHog's own PostgreSQL, the Airflow connection posthog_db."""

from __future__ import annotations

from collections.abc import Iterable

from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings

CONN_ID = "posthog_db"


def team_ids(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    rows = PostgresHook(postgres_conn_id=CONN_ID).get_records(
        sql.render("teams/posthog_db/list_enabled_teams")
    )
    return (team_id for (team_id,) in rows)
