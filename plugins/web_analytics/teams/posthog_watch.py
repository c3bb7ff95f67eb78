"""Watches PostHog's own PostgreSQL for teams that are enabled there (include/sql/teams/posthog_db/notify_when_enabled.sql).

What a notification says does not matter: the DAG it starts looks for every team that is not yet backfilled. So
after each connect, when some may have been missed, the watch reports a change by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

log = logging.getLogger(__name__)

STRATEGY = "project_settings"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
# How soon a connection that died silently is noticed.
QUIET_SECONDS = 60.0
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class TeamEnabledTrigger(BaseEventTrigger):
    """Fires when a team may have been enabled in PostHog's database. It never ends and never fails.

    Without the strategy ``project_settings`` it watches nothing.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from airflow.sdk.exceptions import AirflowException
        from psycopg import Error

        if not _is_configured():
            log.info("PostHog's database is not watched: the strategy %s is not configured.", STRATEGY)
            await asyncio.Event().wait()
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async for reason in _changes():
                    pause = FIRST_PAUSE_SECONDS
                    yield TriggerEvent({"reason": reason})
            except (Error, OSError, AirflowException) as error:
                log.warning("PostHog's database cannot be watched: %s. Again in %g s.", error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _is_configured() -> bool:
    from web_analytics.errors import BadSetting
    from web_analytics.settings import Settings

    try:
        return STRATEGY in Settings.load().team_selection_strategies
    except BadSetting as bad:
        log.error("PostHog's database is not watched: %s", bad)
        return False


async def _changes() -> AsyncIterator[str]:
    """Why something may have changed: once after connecting, then for each notification."""
    from psycopg import AsyncConnection

    from web_analytics.clickhouse import sql

    async with await AsyncConnection.connect(**await _connect_arguments(), autocommit=True) as connection:
        await connection.execute(sql.render("teams/posthog_db/listen"))
        log.info("Listening to PostHog's database.")
        yield "connected"
        while True:
            async for notification in connection.notifies(timeout=QUIET_SECONDS):
                yield f"team {notification.payload} was enabled"
            await connection.execute(sql.render("teams/posthog_db/ping"))


async def _connect_arguments() -> dict[str, Any]:
    """What the hook of the PostgreSQL provider connects with."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from web_analytics.teams.strategies.project_settings import CONN_ID

    connection = await PostgresHook.aget_connection(CONN_ID)
    extra = {
        name: value
        for name, value in connection.extra_dejson.items()
        if name not in PostgresHook.ignored_extra_options and name != "cursor"
    }
    return {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        **KEEPALIVES,
        **extra,
    }
