"""The watch of PostHog's database, on a real PostgreSQL: what notifies, what is missed, and what it survives."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator

import psycopg
import pytest

from web_analytics.clickhouse import sql
from web_analytics.teams import posthog_watch
from web_analytics.teams.posthog_watch import TeamEnabledTrigger


@pytest.fixture
def notifications(posthog_db):
    """``notifications(change)``: what a change makes PostgreSQL send."""

    def sent(change) -> list[str]:
        with posthog_db.connect() as listener:
            listener.execute(sql.render("teams/posthog_db/listen"))
            change()
            return [each.payload for each in listener.notifies(timeout=0.5)]

    return sent


def test_only_a_real_change_from_off_to_on_notifies(posthog_db, notifications):
    """A handler that compared a row with itself never fired."""
    for team_id, before in ((1, False), (2, None), (3, True)):
        posthog_db.switch(team_id, before)
    assert notifications(lambda: posthog_db.switch(1)) == ["1"]
    assert notifications(lambda: posthog_db.switch(1)) == [], "it was on already"
    assert notifications(lambda: posthog_db.switch(2)) == ["2"], "NULL is off"
    assert notifications(lambda: posthog_db.switch(3, False)) == []
    assert notifications(lambda: posthog_db.execute("UPDATE posthog_team SET name = 'x'")) == []
    assert notifications(
        lambda: posthog_db.execute("INSERT INTO posthog_team VALUES (7, 'new', true), (8, 'off', false)")
    ) == ["7"]


def test_what_is_rolled_back_does_not_notify(posthog_db, notifications):
    posthog_db.switch(1, False)

    def change():
        with psycopg.connect(host=posthog_db.host, user="postgres", dbname=posthog_db.name) as connection:
            connection.execute("UPDATE posthog_team SET web_analytics_pre_aggregated_tables_enabled = true")
            connection.rollback()

    assert notifications(change) == []


def test_the_trigger_may_be_made_again(posthog_db, notifications):
    posthog_db.execute(sql.render("teams/posthog_db/notify_when_enabled"))
    assert notifications(lambda: posthog_db.switch(5)) == ["5"]


async def next_reason(events: AsyncIterator) -> str:
    event = await asyncio.wait_for(anext(events), 10)
    return event.payload["reason"]


def test_it_reports_after_connecting_each_change_and_a_lost_connection(posthog_db, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES", "project_settings")
    monkeypatch.setattr(posthog_watch, "FIRST_PAUSE_SECONDS", 0.05)

    async def watch():
        events = TeamEnabledTrigger().run()
        assert await next_reason(events) == "connected"
        await asyncio.to_thread(posthog_db.switch, 12)
        assert await next_reason(events) == "team 12 was enabled"
        waiting = asyncio.ensure_future(next_reason(events))
        await asyncio.to_thread(
            posthog_db.execute,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LISTEN%' AND pid <> pg_backend_pid()",
        )
        assert await waiting == "connected"
        await asyncio.to_thread(posthog_db.switch, 13)
        assert await next_reason(events) == "team 13 was enabled"
        await events.aclose()

    asyncio.run(watch())


def test_without_its_strategy_it_watches_nothing(posthog_db, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES", "teams_table")

    async def watch():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(TeamEnabledTrigger().run()), 0.5)

    asyncio.run(watch())


def test_it_survives_the_way_into_the_triggerer():
    from airflow.triggers.base import BaseEventTrigger

    path, arguments = TeamEnabledTrigger().serialize()
    module, name = path.rsplit(".", 1)
    assert isinstance(getattr(importlib.import_module(module), name)(**arguments), BaseEventTrigger)
