"""The ledger keeps when a team's day was built for the first time, whatever becomes of the day later."""

from __future__ import annotations

from datetime import UTC, date, datetime

from web_analytics.build import cleanup
from web_analytics.build.steps import build_partition, release
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.tables import BOUNCES, STATS

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = (STATS.name, BOUNCES.name)


def first_built(clickhouse, day: date) -> dict[tuple[int, str], tuple[datetime, datetime]]:
    """When each (team, table) of the day was built first and last."""
    rows = clickhouse.client.execute(
        "SELECT team_id, table_name, first_built_at, built_at FROM web_analytics_backfill_ledger FINAL "
        "WHERE partition_date = %(day)s AND table_name IN %(tables)s",
        {"day": day, "tables": TABLES},
    )
    return {(team_id, table): (first, last) for team_id, table, first, last in rows}


def test_a_build_that_is_repeated_leaves_when_the_day_was_built_first(source, settings, days):
    clickhouse, [day] = source.clickhouse, days(1)
    source.visits([1, 2], [day], per_day=1)
    build_partition(clickhouse, settings, day, [1])
    once = first_built(clickhouse, day)
    assert {key: first for key, (first, _) in once.items()} == {key: last for key, (_, last) in once.items()}
    build_partition(clickhouse, settings, day, [1, 2])
    twice = first_built(clickhouse, day)
    for table in TABLES:
        assert twice[1, table][0] == once[1, table][0] < twice[1, table][1]
        assert twice[2, table][0] == twice[2, table][1]


def test_a_cleanup_is_no_build(source, settings, days):
    """Of a day that was built it leaves when; a day that was not built has still to be built in time."""
    clickhouse, [day] = source.clickhouse, days(1)
    source.visits([1, 2], [day], per_day=1)
    build_partition(clickhouse, settings, day, [1])
    before = first_built(clickhouse, day)
    for team_id in (1, 2):
        emptied, fresh = cleanup.prepare(clickhouse, settings, TaskIdentity(), day, team_id)
        approved = cleanup.stored_days(clickhouse, team_id, DateRange(day, day + ONE_DAY))
        cleanup.publish(clickhouse, TaskIdentity(), emptied, fresh, team_id, approved)
        release(clickhouse, emptied)
    cleaned = first_built(clickhouse, day)
    build_partition(clickhouse, settings, day, [2])
    built = first_built(clickhouse, day)
    for table in TABLES:
        assert cleaned[1, table][0] == before[1, table][0] < cleaned[1, table][1]
        assert cleaned[2, table][0] == NEVER
        assert built[2, table][0] == built[2, table][1]
