"""The projects that switched pre-aggregation on in PostHog's own PostgreSQL, the Airflow connection posthog_db."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings

CONN_ID = "posthog_db"
# Of PostgreSQL's integer: no project has a larger id.
LARGEST_ID = 2**31 - 1


def team_ids(clickhouse: ClickHouse, settings: Settings) -> Iterable[int]:
    return (team_id for (team_id,) in _ask("list_enabled_teams"))


def names(team_ids: Iterable[int]) -> dict[int, str]:
    """What PostHog calls these projects; of those that it has."""
    known = [team_id for team_id in team_ids if team_id <= LARGEST_ID]
    return dict(_ask("list_names", {"team_ids": known}))


def find(part: str, at_most: int) -> Iterable[int]:
    """The projects whose name contains ``part``, in upper or lower case."""
    return (team_id for (team_id,) in _ask("find_by_name", {"part": part, "row_limit": at_most}))


def _ask(statement: str, parameters: Mapping[str, Any] | None = None) -> list[tuple]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    return PostgresHook(postgres_conn_id=CONN_ID).get_records(
        sql.render(f"teams/posthog_db/{statement}"), parameters
    )
